#include "runtime/desktop/limited_compose.h"

#include <sys/stat.h>

#include <memory>
#include <utility>

#include "engine/base/cleanup.h"
#include "engine/base/mount.h"
#include "storage/compose/layer/layer_dir.h"

namespace panal::desktop {
namespace {

using storage::QuotaKind;

/// Takes what is mounted over the layer's directory out of sight; nothing there is fine.
Result<void> uncover(const std::string& upper_dir) {
  const auto mounted = mount::is_mount_point(upper_dir);
  if (!mounted && mounted.error().code == ENOENT) return {};
  if (!mounted) return tl::make_unexpected(mounted.error());
  return *mounted ? mount::detach(upper_dir) : Result<void>();
}

std::unique_ptr<storage::Quota> quota_for(QuotaKind kind, const storage::SpaceLimit& limit) {
  return kind == QuotaKind::kMemory ? storage::make_memory_quota(limit) : storage::make_quota(kind);
}

Result<void> make_parent(const std::string& path) {
  const std::string parent = path.substr(0, path.rfind('/'));
  if (::mkdir(parent.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno("make directory", parent);
  return {};
}

}  // namespace

Result<QuotaKind> LimitedCompose::kind_for(const storage::RootSpec& spec) const {
  const QuotaKind wanted = spec.persistent ? rules_.persistent : rules_.volatiles;
  if (wanted == QuotaKind::kMemory) return wanted;  // it covers whatever is on the disk
  const auto there = storage::quota_kind_of(spec.upper_dir);
  if (!there && there.error().code == ENOENT) return wanted;
  if (!there) return tl::make_unexpected(there.error());
  if (*there == wanted) return wanted;
  // What a persistent desktop has written is not thrown away for a quota; what a volatile one has
  // left is.
  const bool keep = spec.persistent || *there == QuotaKind::kLoop ||
                    !storage::persistent_backend(spec.upper_dir).empty();
  if (keep) return *there;
  PANAL_TRY(storage::make_quota(*there)->remove(spec.upper_dir));
  return wanted;
}

Result<void> LimitedCompose::provision(const storage::RootSpec& spec) {
  PANAL_TRY(uncover(spec.upper_dir));  // of a start that was cut short
  if (const auto traits = inner_.traits_for(spec); traits.apart) {
    storage::RootSpec limited = spec;
    if (traits.limits) limited.limits = {rules_.limit.bytes, rules_.limit.inodes};
    return inner_.provision(limited);
  }
  PANAL_ASSIGN(const QuotaKind kind, kind_for(spec));
  if (kind == QuotaKind::kNone) return inner_.provision(spec);
  PANAL_TRY(make_parent(spec.upper_dir));
  const auto quota = quota_for(kind, rules_.limit);
  const bool was_there = storage::quota_kind_of(spec.upper_dir).has_value();
  auto provided = quota->provide(spec.upper_dir, rules_.limit);
  // One that is there and cannot have the limit (a file cannot shrink) keeps the one it has.
  if (!provided && !(was_there && provided.error().code == EINVAL))
    return prefixed("writable layer", provided.error());
  Cleanup undo;
  if (quota->is_apart()) {
    PANAL_ASSIGN(const UniqueFd tree, quota->open(spec.upper_dir));
    PANAL_TRY(mount::attach(tree.get(), spec.upper_dir));
    undo.push([&spec] { (void)uncover(spec.upper_dir); });
  }
  PANAL_TRY(inner_.provision(spec));
  undo.release();
  return {};
}

Result<void> LimitedCompose::destroy(const storage::RootSpec& spec) {
  auto destroyed = inner_.destroy(spec);
  // Also when that failed: what is still used stays until its last user goes.
  auto uncovered = uncover(spec.upper_dir);
  return destroyed ? uncovered : destroyed;
}

Result<storage::Recovered> LimitedCompose::recover(const storage::RecoverScope& scope) {
  // First the inner one, which finds its daemons' locks in the layer as it was mounted.
  auto recovered = inner_.recover(scope);
  storage::Recovered mounts;
  PANAL_TRY(storage::for_each_resting(
      scope, mounts, [](const storage::RootSpec& spec) { return uncover(spec.upper_dir); }));
  if (recovered)
    recovered->problems.insert(recovered->problems.end(), mounts.problems.begin(),
                               mounts.problems.end());
  return recovered;
}

Result<void> LimitedCompose::erase(const storage::RootSpec& spec) {
  // All of its mounts, whosever backend's they are; a file that holds a layer is deleted only when
  // nobody has it mounted.
  storage::RootSpec resting = spec;
  resting.backend.clear();
  resting.persistent = true;
  PANAL_TRY(inner_.destroy(resting));
  PANAL_TRY(uncover(spec.upper_dir));
  const auto kind = storage::quota_kind_of(spec.upper_dir);
  if (!kind && kind.error().code != ENOENT) return tl::make_unexpected(kind.error());
  if (kind && *kind != QuotaKind::kNone)
    PANAL_TRY(storage::make_quota(*kind)->remove(spec.upper_dir));
  return inner_.erase(spec);
}

}  // namespace panal::desktop
