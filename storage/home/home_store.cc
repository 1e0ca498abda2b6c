#include "storage/home/home_store.h"

#include <linux/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "engine/base/cleanup.h"
#include "engine/base/mount.h"
#include "engine/base/tree.h"
#include "engine/base/user_namespace.h"
#include "storage/home/place.h"
#include "storage/quota/kinds.h"

namespace panal::storage {

Result<void> HomeStore::make_home(const Place& at, std::uint32_t uid, std::uint32_t gid) const {
  // Takes the directory along only when there is nothing in it; else it is a home, and stays.
  if (is_half_deleted(at.tenant_dir, at.home)) PANAL_TRY(remove_half(at.tenant_dir, at.home));
  struct stat info{};
  if (::lstat(at.path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return fail(ENOTDIR, "home " + at.path);
  }
  // A crash before the last step: the file is the home, the directory only its place.
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
  // A lock that this node has left may say that the home is still mounted here (see detach()): it
  // is not taken over then, to be dropped when the mount fails.
  const auto left = at.lock.owner();
  const bool from_here = left && (left->node == rules_.node || left->node.empty());
  if (from_here && (spec.leased || left->holder == spec.desktop)) PANAL_TRY(expect_closed(at.path));
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

Result<void> HomeStore::release(const HomeSpec& spec) {
  PANAL_ASSIGN(const Place at, place(spec.tenant, spec.home));
  const HomeOwner owner{spec.desktop, rules_.node};
  PANAL_ASSIGN(const bool held, at.lock.held_by(owner));
  if (!held) return {};
  // While it is written out here no other node may mount it. What cannot even be looked at any more
  // keeps nobody waiting.
  auto closed = expect_closed(at.path);
  if (!closed && closed.error().code == EBUSY) return closed;
  return at.lock.drop(owner);
}

Result<void> HomeStore::detach(const HomeSpec& spec) {
  PANAL_TRY(check_home_names(spec.tenant, spec.home));
  PANAL_TRY(mount::detach(spec.mount_point));
  // A desktop's last mount goes when its last process does, a moment after.
  constexpr std::chrono::seconds kWait{2};
  constexpr std::chrono::milliseconds kPause{20};
  // By the clock: each look at a slow server takes its time, and panal-home's is limited.
  const auto until = std::chrono::steady_clock::now() + kWait;
  for (;;) {
    auto released = release(spec);
    const bool over = std::chrono::steady_clock::now() >= until;
    if (released || released.error().code != EBUSY || over) return released;
    std::this_thread::sleep_for(kPause);
  }
}

Result<std::vector<std::string>> HomeStore::homes_of(const std::string& tenant) const {
  const auto dir = Dir::open(homes_dir_ + "/" + tenant);
  if (!dir && dir.error().code == ENOENT) return std::vector<std::string>();
  if (!dir) return tl::make_unexpected(dir.error());
  PANAL_ASSIGN(const auto names, dir->list());
  std::set<std::string> homes;
  // What is hidden are locks, files and snapshots of homes, and halves of homes and locks.
  for (const std::string& name : names)
    if (!name.starts_with('.')) homes.insert(name);
  // A file that lacks its directory is all of a home. Few do: only those are looked at.
  for (const std::string& name : names) {
    const std::string home = home_of_file(name);
    if (home.empty() || homes.contains(home)) continue;
    if (has_loop_file(homes_dir_ + "/" + tenant + "/" + home)) homes.insert(home);
  }
  return std::vector<std::string>(homes.begin(), homes.end());
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
