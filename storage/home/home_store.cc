#include "storage/home/home_store.h"

#include <linux/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/cleanup.h"
#include "engine/base/mount.h"
#include "engine/base/tree.h"
#include "engine/base/user_namespace.h"
#include "storage/home/place.h"
#include "storage/quota/kinds.h"

namespace panal::storage {

Result<void> HomeStore::make_home(const Place& at, std::uint32_t uid, std::uint32_t gid) const {
  struct stat info{};
  if (::lstat(at.path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return fail(ENOTDIR, "home " + at.path);
  }
  // A crash between the two steps of a restore: the file is the home, the directory only its place.
  if (has_loop_file(at.path)) return make_private_directory(at.path);
  return build(at, rules_.quota, rules_.limit, [&](int tree) -> Result<void> {
    if (::fchown(tree, uid, gid) != 0) return fail_errno("chown", at.path);
    if (::fchmod(tree, 0700) != 0) return fail_errno("chmod", at.path);
    return {};
  });
}

Result<void> HomeStore::build(const Place& at, QuotaKind kind, const SpaceLimit& limit,
                              const std::function<Result<void>(int tree)>& fill) const {
  PANAL_TRY(remove_half(at.tenant_dir, at.home));
  Cleanup undo([&at] { (void)remove_half(at.tenant_dir, at.home); });
  const auto quota = make_quota(kind);
  PANAL_TRY(quota->provide(at.half, limit));
  {
    PANAL_ASSIGN(const UniqueFd tree, quota->open(at.half));
    PANAL_ASSIGN(const UniqueFd root, root_of(tree, at.half));
    PANAL_TRY(fill(root.get()));
    // It takes another's place only when it is on disk itself.
    if (::syncfs(root.get()) != 0) return fail_errno("sync", at.half);
  }
  return quota->replace(at.half, at.path);
}

Result<void> HomeStore::attach(const HomeSpec& spec) {
  PANAL_ASSIGN(const Place at, place(spec.tenant, spec.home));
  PANAL_TRY(make_home_directory(homes_dir_));
  PANAL_TRY(make_home_directory(at.tenant_dir));
  const HomeOwner owner{spec.desktop, rules_.node};
  PANAL_TRY(at.lock.take(owner, spec.leased, spec.evicted));
  Cleanup unlock([&] { (void)at.lock.drop(owner); });
  PANAL_ASSIGN(const bool mounted, mount::is_mount_point(spec.mount_point));
  if (mounted) {
    unlock.release();  // the mount's owner is this desktop: its lock stays
    return fail(EBUSY, "home " + spec.home + ": " + spec.mount_point + " is mounted already");
  }
  PANAL_TRY(make_home(at, spec.uid, spec.gid));
  PANAL_ASSIGN(const auto quota, at.quota());
  PANAL_ASSIGN(const UserNamespace names, UserNamespace::create(spec.ids.first, spec.ids.count));
  auto shown = [&]() -> Result<void> {
    PANAL_ASSIGN(const UniqueFd tree, quota->open(at.path));
    auto mapped =
        mount::set_attributes(tree.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, names.fd());
    if (!mapped && mapped.error().code == EINVAL)
      return fail(EOPNOTSUPP, "the file system of " + at.path +
                                  " cannot show files under other ids (idmapped mounts): set "
                                  "quota = \"loop\" and a limit in [homes] for new homes there");
    PANAL_TRY(mapped);
    return mount::attach(tree.get(), spec.mount_point);
  }();
  if (!shown) return prefixed("home " + spec.home, shown.error());
  unlock.release();
  return {};
}

Result<void> HomeStore::detach(const HomeSpec& spec) {
  PANAL_ASSIGN(const Place at, place(spec.tenant, spec.home));
  PANAL_TRY(mount::detach(spec.mount_point));
  return at.lock.drop({spec.desktop, rules_.node});
}

Result<std::vector<std::string>> HomeStore::homes_of(const std::string& tenant) const {
  const auto dir = Dir::open(homes_dir_ + "/" + tenant);
  if (!dir && dir.error().code == ENOENT) return std::vector<std::string>();
  if (!dir) return tl::make_unexpected(dir.error());
  PANAL_ASSIGN(auto names, dir->list());
  // What is hidden are locks, files and snapshots of homes, and halves of homes and locks.
  std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::vector<std::string>> HomeStore::tenants() const {
  const auto dir = Dir::open(homes_dir_);
  if (!dir && dir.error().code == ENOENT) return std::vector<std::string>();
  if (!dir) return tl::make_unexpected(dir.error());
  PANAL_ASSIGN(auto names, dir->list());
  std::erase_if(names, [](const std::string& name) { return !is_plain_home_name(name); });
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace panal::storage
