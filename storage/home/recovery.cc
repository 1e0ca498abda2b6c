// What a crash leaves, and homes that are to go.
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <utility>

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
  std::set<std::string> in_files;      ///< homes that have a file
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
    if (const std::string home = home_of_file(name); !home.empty()) {
      in_files.insert(home);
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
  for (const std::string& name : names) in_files.erase(name);  // their directories are there
  for (const std::string& home : in_files) {
    auto made = if_free(HomeLock(path, home), self, [&]() -> Result<void> {
      const std::string missing = path + "/" + home;
      if (!has_loop_file(missing)) return {};  // it has been deleted meanwhile
      auto given = make_private_directory(missing);
      if (!given && given.error().code != EEXIST) return given;
      return sync_parent(missing);
    });
    // It is whole without: who opens it makes room for it.
    const bool full = !made && (made.error().code == ENOSPC || made.error().code == EDQUOT);
    if (!made && !full) return made;
  }
  return {};
}

Result<void> HomeStore::recover(const std::set<std::string>& live) {
  PANAL_ASSIGN(const auto names, tenants());
  // Where one tenant's cannot be looked at, the others' are all the same.
  Result<void> all;
  for (const auto& tenant : names) {
    auto done = recover_tenant(tenant, live);
    if (!done && all) all = std::move(done);
  }
  return all;
}

Result<void> HomeStore::remove(const std::string& tenant, const std::string& home) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  struct stat info{};
  if (!has_loop_file(at.path) && ::lstat(at.path.c_str(), &info) != 0)
    return fail_errno("delete home", tenant + "/" + home);
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
  const auto kind = at.quota_kind();
  // What an earlier deletion was killed over was all there was.
  if (!kind && kind.error().code == ENOENT) return {};
  if (!kind) return tl::make_unexpected(kind.error());
  const auto aside = set_aside(at.tenant_dir, at.home);
  // It is what fills the disk, perhaps.
  if (!aside && (aside.error().code == ENOSPC || aside.error().code == EDQUOT))
    return remove_in_place(at.path, *kind);
  PANAL_TRY(aside);
  return remove_half(at.tenant_dir, at.home);
}

}  // namespace panal::storage
