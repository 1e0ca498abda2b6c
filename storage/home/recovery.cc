// What a crash leaves, and homes that are to go.
#include <sys/stat.h>
#include <unistd.h>

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
  for (const std::string& home : halves) {
    const HomeLock lock(path, home);
    if (const auto taken = lock.take(self); !taken) {
      if (taken.error().code == EBUSY) continue;  // it is being made
      return taken;
    }
    auto removed = remove_half(path, home);
    PANAL_TRY(lock.drop(self));
    PANAL_TRY(removed);
  }
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
  for (const std::string& name : kept) PANAL_TRY(remove_snapshot(tenant, home, name));
  if (::rmdir(at.snapshots.c_str()) != 0 && errno != ENOENT)
    return fail_errno("delete", at.snapshots);
  PANAL_ASSIGN(const auto quota, at.quota());
  return quota->remove(at.path);
}

}  // namespace panal::storage
