// What a crash leaves, and homes that are to go.
#include <sys/stat.h>
#include <unistd.h>

#include <functional>

#include "engine/base/tree.h"
#include "storage/home/place.h"
#include "storage/quota/kinds.h"

namespace panal::storage {
namespace {

/// Does `work` with the lock of a home that nobody has; one that somebody has is left alone.
Result<void> if_free(const HomeLock& lock, const HomeOwner& self,
                     const std::function<Result<void>()>& work) {
  if (const auto taken = lock.take(self); !taken) {
    if (taken.error().code == EBUSY) return {};
    return taken;
  }
  auto done = work();
  PANAL_TRY(lock.drop(self));
  return done;
}

}  // namespace

Result<void> HomeStore::recover_tenant(const std::string& tenant,
                                       const std::set<std::string>& live) {
  const std::string path = homes_dir_ + "/" + tenant;
  PANAL_ASSIGN(const Dir dir, Dir::open(path));
  PANAL_ASSIGN(const auto names, dir.list());
  std::set<std::string> halves;
  std::set<std::string> of_snapshots;  ///< homes that have halves of those
  const std::string half_lock = HomeLock::half_prefix(rules_.node);
  for (const auto& name : names) {
    if (name.starts_with(half_lock)) {
      (void)::unlinkat(dir.fd(), name.c_str(), 0);  // half of a HomeLock::take()
      continue;
    }
    if (const std::string home = home_of_half(name); !home.empty()) {
      halves.insert(home);
      continue;
    }
    if (const std::string home = home_of_snapshots(name); !home.empty()) {
      PANAL_ASSIGN(const auto found, snapshot_halves(path + "/" + name));
      if (!found.empty()) of_snapshots.insert(home);
      continue;
    }
    const std::string home = locked_home(name);
    if (home.empty()) continue;
    const HomeLock lock(path, home);
    const auto owner = lock.owner();
    // One that names nobody keeps its home closed, and says so to who wants it.
    const bool unknown = !owner && (owner.error().code == ENOENT || owner.error().code == EPROTO);
    if (unknown) continue;
    if (!owner) return tl::make_unexpected(owner.error());
    // Another node's are its own to judge.
    const bool ours = owner->node == rules_.node || owner->node.empty();
    if (!ours || live.contains(owner->holder) || is_running_command(owner->holder)) continue;
    // See HomeStore::detach(): it is still written out here.
    const auto closed = expect_closed(path + "/" + home);
    if (!closed && closed.error().code == EBUSY) continue;
    PANAL_TRY(lock.drop(*owner));
  }
  const HomeOwner self = own_work("recovery", rules_.node);
  for (const std::string& home : halves)
    PANAL_TRY(if_free(HomeLock(path, home), self, [&] { return remove_half(path, home); }));
  for (const std::string& home : of_snapshots)
    PANAL_TRY(if_free(HomeLock(path, home), self,
                      [&] { return remove_snapshot_halves(path + "/" + snapshots_name(home)); }));
  return {};
}

Result<void> HomeStore::recover(const std::set<std::string>& live) {
  PANAL_ASSIGN(const auto names, tenants());
  for (const auto& tenant : names) PANAL_TRY(recover_tenant(tenant, live));
  return {};
}

Result<void> HomeStore::remove(const std::string& tenant, const std::string& home) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  struct stat info{};
  if (::lstat(at.path.c_str(), &info) != 0) return fail_errno("delete home", tenant + "/" + home);
  // The lock is taken in the deletion's own name, so that no desktop opens it meanwhile.
  PANAL_ASSIGN(const Cleanup unlock, at.hold(own_work("deletion", rules_.node)));
  PANAL_ASSIGN(const auto kept, snapshots_of(at));
  // All or nothing: one that is still mounted is known before anything is deleted.
  PANAL_TRY(expect_closed(at.path));
  for (const std::string& name : kept) PANAL_TRY(expect_closed(at.snapshots + "/" + name));
  for (const std::string& name : kept) PANAL_TRY(remove_snapshot(tenant, home, name));
  PANAL_TRY(remove_snapshot_halves(at.snapshots));
  if (::rmdir(at.snapshots.c_str()) != 0 && errno != ENOENT)
    return fail_errno("delete", at.snapshots);
  PANAL_TRY(remove_half(at.tenant_dir, at.home));
  const auto kind = quota_kind_of(at.path);
  // What an earlier deletion was killed over was all there was.
  if (!kind && kind.error().code == ENOENT) return {};
  if (!kind) return tl::make_unexpected(kind.error());
  const auto aside = set_aside(at.tenant_dir, at.home);
  // It is what fills the disk, perhaps.
  if (!aside && (aside.error().code == ENOSPC || aside.error().code == EDQUOT))
    return make_quota(*kind)->remove(at.path);
  PANAL_TRY(aside);
  return remove_half(at.tenant_dir, at.home);
}

}  // namespace panal::storage
