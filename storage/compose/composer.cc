#include "storage/compose/composer.h"

#include <optional>
#include <string>
#include <utility>

#include "storage/compose/bind/bind.h"
#include "storage/compose/btrfs/btrfs.h"
#include "storage/compose/copy/copy.h"
#include "storage/compose/layer/layer_dir.h"
#include "storage/compose/union_fuse/union_fuse.h"

namespace panal::storage {

Composer::Composer(ComposerOptions options) {
  backends_.push_back(std::make_unique<OverlayBackend>(options.overlay));
  backends_.push_back(std::make_unique<TmpfsBackend>(options.tmpfs));
  backends_.push_back(std::make_unique<BindBackend>());
  backends_.push_back(std::make_unique<CopyBackend>());
  if (!options.btrfs.pool.empty())
    backends_.push_back(std::make_unique<BtrfsBackend>(std::move(options.btrfs)));
  if (!options.lvm.pool.empty())
    backends_.push_back(std::make_unique<LvmBackend>(std::move(options.lvm)));
  // Last here is first when nobody knows whose a root is: others unmount whatever is there, which
  // must not be taken from a daemon before its own backend has ended it.
  backends_.push_back(std::make_unique<UnionFuseBackend>(UnionProgram::kFuseOverlayfs));
  backends_.push_back(std::make_unique<UnionFuseBackend>(UnionProgram::kUnionfsFuse));
}

Result<ComposeBackend*> Composer::find(std::string_view name) const {
  if (name.empty()) return backends_.front().get();
  for (const auto& one : backends_)
    if (one->name() == name) return one.get();
  return fail(EINVAL, "compose: this node has no backend " + std::string(name) + " set up");
}

BackendTraits Composer::traits() const { return backends_.front()->traits(); }

BackendTraits Composer::traits_for(const RootSpec& spec) const {
  return traits_of(spec.backend).value_or(traits());
}

std::optional<BackendTraits> Composer::traits_of(std::string_view backend) const {
  const auto found = find(backend);
  if (!found) return std::nullopt;
  return (*found)->traits();
}

Result<void> Composer::provision(const RootSpec& spec) {
  PANAL_ASSIGN(ComposeBackend* const backend, find(spec.backend));
  // Before there is something to be found: one that was noted for nothing is found empty.
  if (spec.persistent && backend->traits().persistent)
    PANAL_TRY(note_persistent_backend(spec.upper_dir, backend->name()));
  return backend->provision(spec);
}

Result<void> Composer::destroy(const RootSpec& spec) {
  if (!spec.backend.empty()) {
    PANAL_ASSIGN(ComposeBackend* const backend, find(spec.backend));
    return backend->destroy(spec);
  }
  std::optional<Error> first;
  for (auto one = backends_.rbegin(); one != backends_.rend(); ++one) {
    RootSpec unknown = spec;
    // Nobody said that it is one of these.
    if (one->get() != backends_.front().get()) unknown.persistent = true;
    if (auto done = (*one)->destroy(unknown); !done && !first) first = done.error();
  }
  if (first) return tl::make_unexpected(std::move(*first));
  return {};
}

Result<RootUsage> Composer::usage(const RootSpec& spec) {
  PANAL_ASSIGN(ComposeBackend* const backend, find(spec.backend));
  return backend->usage(spec);
}

Result<Recovered> Composer::recover(const RecoverScope& scope) {
  Recovered all;
  for (auto one = backends_.rbegin(); one != backends_.rend(); ++one) {
    const auto done = (*one)->recover(scope);
    if (!done) {
      all.problems.push_back(std::string((*one)->name()) + ": " + done.error().message());
      continue;
    }
    all.unmounted += done->unmounted;
    all.removed += done->removed;
    all.problems.insert(all.problems.end(), done->problems.begin(), done->problems.end());
  }
  return all;
}

Result<void> Composer::erase(const RootSpec& spec) {
  for (auto one = backends_.rbegin(); one != backends_.rend(); ++one)
    PANAL_TRY((*one)->erase(spec));
  return forget_persistent_backend(spec.upper_dir);
}

}  // namespace panal::storage
