#include "storage/compose/tmpfs/tmpfs.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <string>

#include "engine/base/cleanup.h"
#include "engine/base/mount.h"
#include "engine/base/user_namespace.h"
#include "storage/compose/layer/layer_dir.h"
#include "storage/compose/overlay/mount_overlay.h"

namespace panal::storage {
namespace {

/// Below an open directory, whatever the umask, with the owner the desktop's root has on the host.
Result<void> make_owned(int directory, const char* name, mode_t mode, std::uint32_t owner) {
  if (::mkdirat(directory, name, mode) != 0) return fail_errno("make directory", name);
  if (::fchownat(directory, name, owner, owner, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno("chown", name);
  if (::fchmodat(directory, name, mode, 0) != 0) return fail_errno("chmod", name);
  return {};
}

Result<UniqueFd> make_tmpfs(const TmpfsOptions& defaults, const RootLimits& limits) {
  const std::uint64_t bytes = limits.bytes > 0 ? limits.bytes : defaults.bytes;
  const std::uint64_t inodes = limits.inodes > 0 ? limits.inodes : defaults.inodes;
  return mount::create("tmpfs",
                       {{"source", "panal"},
                        {"size", std::to_string(bytes)},
                        {"nr_inodes", std::to_string(inodes)},
                        {"mode", "0700"}},
                       MOUNT_ATTR_NODEV);
}

}  // namespace

BackendTraits TmpfsBackend::traits() const {
  BackendTraits traits;
  traits.shares_pages = traits.writable_all = traits.layers = traits.limits = true;
  traits.apart = true;
  return traits;
}

Result<void> TmpfsBackend::provision(const RootSpec& spec) {
  PANAL_TRY(expect_possible(name(), traits(), spec));
  PANAL_TRY(expect_unmounted(spec));
  PANAL_TRY(expect_trees(spec));
  PANAL_ASSIGN(const UserNamespace names, UserNamespace::create(spec.ids.first, spec.ids.count));
  Result<UniqueFd> root = fail(EIO, "not mounted");
  {
    // Attached for as long as overlayfs looks, below the lowers: what was opened stays in reach.
    PANAL_ASSIGN(const UniqueFd memory, make_tmpfs(options_, spec.limits));
    PANAL_TRY(mount::attach(memory.get(), spec.mount_point));
    const Cleanup detach([&spec] { (void)mount::detach(spec.mount_point); });
    const UniqueFd top(::open(spec.mount_point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!top) return fail_errno("open", spec.mount_point);
    PANAL_TRY(make_owned(top.get(), "upper", 0755, spec.ids.first));
    PANAL_TRY(make_owned(top.get(), "work", 0700, spec.ids.first));
    PANAL_ASSIGN(const OpenLayer upper, OpenLayer::open_at(top.get(), "upper"));
    PANAL_ASSIGN(const OpenLayer work, OpenLayer::open_at(top.get(), "work"));
    PANAL_ASSIGN(const Lowers lowers, Lowers::attach(spec, names.fd()));
    root = create_overlay({lowers.option(), upper.path(), work.path(), spec.ids.first, true, true});
  }
  if (!root) return prefixed("compose " + spec.mount_point, root.error());
  return mount::attach(root->get(), spec.mount_point);
}

Result<void> TmpfsBackend::destroy(const RootSpec& spec) {
  PANAL_TRY(detach_all(spec.mount_point));
  return {};
}

Result<RootUsage> TmpfsBackend::usage(const RootSpec& spec) {
  RootUsage usage;
  const auto mounted = mount::is_mount_point(spec.mount_point);
  if (!mounted || !*mounted) return usage;
  struct statvfs info{};
  if (::statvfs(spec.mount_point.c_str(), &info) != 0)
    return fail_errno("statvfs", spec.mount_point);
  usage.bytes = static_cast<std::uint64_t>(info.f_blocks - info.f_bfree) * info.f_frsize;
  // The tmpfs's root, upper, work, and what overlayfs keeps in it (work, incompat, volatile).
  constexpr std::uint64_t kOwn = 6;
  const std::uint64_t used = info.f_files - info.f_ffree;
  usage.inodes = used > kOwn ? used - kOwn : 0;
  return usage;
}

Result<Recovered> TmpfsBackend::recover(const RecoverScope& scope) {
  Recovered all;
  const auto clear = [&all](const RootSpec& spec) -> Result<void> {
    PANAL_ASSIGN(const std::uint32_t mounts, detach_all(spec.mount_point));
    all.unmounted += mounts;
    return {};
  };
  PANAL_TRY(for_each_resting(scope, all, clear));
  return all;
}

}  // namespace panal::storage
