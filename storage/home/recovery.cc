// What a crash leaves, and homes that are to go.
#include <sys/stat.h>
#include <unistd.h>

#include <functional>

#include "engine/base/file_tree.h"
#include "engine/base/tree.h"
#include "storage/home/place.h"
#include "storage/quota/kinds.h"

namespace panal::storage {

Result<void> HomeStore::recover_tenant(const std::string& tenant,
                                       const std::set<std::string>& live) {
  const std::string path = homes_dir_ + "/" + tenant;
  PANAL_ASSIGN(const Dir dir, Dir::open(path));
  PANAL_ASSIGN(const auto names, dir.list());
  std::set<std::string> halves;
  std::set<std::string> placeless;  // homes in files that lack their directory
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
    if (const std::string home = home_of_file(name); !home.empty()) {
      if (!dir.exists(home)) placeless.insert(home);
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
    PANAL_TRY(lock.drop(*owner));
  }
  const HomeOwner self = own_work("recovery", rules_.node);
  const auto locked = [&](const std::string& home,
                          const std::function<Result<void>()>& work) -> Result<void> {
    const HomeLock lock(path, home);
    if (const auto taken = lock.take(self); !taken) {
      if (taken.error().code == EBUSY) return {};  // it is being made, or deleted
      return taken;
    }
    auto done = work();
    PANAL_TRY(lock.drop(self));
    return done;
  };
  for (const std::string& home : halves)
    PANAL_TRY(locked(home, [&] { return remove_half(path, home); }));
  for (const std::string& home : placeless)
    PANAL_TRY(locked(home, [&]() -> Result<void> {
      const std::string missing = path + "/" + home;
      if (!has_loop_file(missing) || dir.exists(home)) return {};
      return make_private_directory(missing);
    }));
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
  if (!has_loop_file(at.path) && ::lstat(at.path.c_str(), &info) != 0)
    return fail_errno("delete home", tenant + "/" + home);
  // The lock is taken in the deletion's own name, so that no desktop opens it meanwhile.
  PANAL_ASSIGN(const Cleanup unlock, at.hold(own_work("deletion", rules_.node)));
  PANAL_ASSIGN(const auto kept, snapshots_of(at));
  for (const std::string& name : kept) PANAL_TRY(remove_snapshot(tenant, home, name));
  PANAL_TRY(remove_tree(at.snapshots));  // with halves of one that was being made
  if (has_loop_file(at.path)) return remove_kept(at.path, QuotaKind::kLoop);
  PANAL_ASSIGN(const QuotaKind kind, quota_kind_of(at.path));
  return remove_kept(at.path, kind);
}

}  // namespace panal::storage
