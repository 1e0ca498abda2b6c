// What operators do with homes.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/tree.h"
#include "storage/home/place.h"
#include "storage/quota/kinds.h"

namespace panal::storage {

Result<std::vector<std::string>> HomeStore::snapshots_of(const Place& at) {
  const auto dir = Dir::open(at.snapshots);
  if (!dir && dir.error().code == ENOENT) return std::vector<std::string>();
  if (!dir) return tl::make_unexpected(dir.error());
  PANAL_ASSIGN(auto names, dir->list());
  std::erase_if(names, [](const std::string& name) { return !is_snapshot_name(name); });
  std::sort(names.begin(), names.end());
  return names;
}

Result<HomeInfo> HomeStore::info(const std::string& tenant, const std::string& home,
                                 bool measure) const {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  HomeInfo info;
  info.tenant = tenant;
  info.home = home;
  PANAL_ASSIGN(info.quota, at.quota_kind());
  if (auto owner = at.lock.owner())
    info.owner = std::move(*owner);
  else if (owner.error().code != ENOENT)
    return tl::make_unexpected(owner.error());
  if (info.quota == QuotaKind::kNone && !measure) {
    info.why_unseen = "not measured";
  } else if (auto use = make_quota(info.quota)->use(at.path)) {
    info.use = *use;
  } else {
    info.why_unseen = use.error().message();
  }
  PANAL_ASSIGN(info.snapshots, snapshots_of(at));
  return info;
}

Result<void> HomeStore::set_limit(const std::string& tenant, const std::string& home,
                                  const SpaceLimit& limit, const HomeOwner& owner) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  PANAL_ASSIGN(const auto quota, at.quota());
  if (quota->kind() == QuotaKind::kNone)
    return fail(EOPNOTSUPP, "home " + home +
                                " was made without a quota; set one in [homes], then "
                                "`panal home backup` and `panal home restore` give it one");
  if (!quota->is_apart()) return quota->provide(at.path, limit);
  PANAL_ASSIGN(const Cleanup unlock, at.hold(owner));
  return quota->provide(at.path, limit);
}

Result<void> HomeStore::snapshot(const std::string& tenant, const std::string& home,
                                 const std::string& name, const HomeOwner& owner) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  PANAL_ASSIGN(const std::string to, at.snapshot(name));
  PANAL_ASSIGN(const QuotaKind kind, at.quota_kind());
  if (kind != QuotaKind::kQgroup && kind != QuotaKind::kLoop)
    return fail(EOPNOTSUPP, "home " + home +
                                " is a plain directory, of which no snapshot can be "
                                "made; use `panal home backup`, or keep homes on btrfs");
  PANAL_TRY(make_home_directory(at.snapshots));
  if (::access(to.c_str(), F_OK) == 0)
    return fail(EEXIST, "home " + home + " has a snapshot " + name + " already");
  if (kind == QuotaKind::kQgroup) return snapshot_subvolume(at.path, to);
  PANAL_ASSIGN(const Cleanup unlock, at.hold(owner));
  return clone_file(loop_file_of(at.path), to);
}

Result<void> HomeStore::clone_file(const std::string& from, const std::string& to) {
  const std::string file = loop_file_of(to);
  const std::string aside = file + ".new";
  (void)::unlink(aside.c_str());  // half of an earlier one
  const Cleanup remove([&aside] { (void)::unlink(aside.c_str()); });
  const UniqueFd source(::open(from.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!source) return fail_errno("open", from);
  const UniqueFd copy(::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!copy) return fail_errno("create", aside);
  if (::ioctl(copy.get(), FICLONE, source.get()) != 0) {
    if (errno == EOPNOTSUPP || errno == EXDEV || errno == EINVAL || errno == ENOTTY)
      return fail(EOPNOTSUPP, "the file system of " + from +
                                  " cannot clone files (xfs and btrfs "
                                  "can); use `panal home backup`");
    return fail_errno("clone", from);
  }
  if (::fsync(copy.get()) != 0) return fail_errno("fsync", aside);
  if (::rename(aside.c_str(), file.c_str()) != 0) return fail_errno("rename", aside);
  PANAL_TRY(make_private_directory(to));
  return sync_parent(to);
}

Result<void> HomeStore::remove_snapshot(const std::string& tenant, const std::string& home,
                                        const std::string& name) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  PANAL_ASSIGN(const std::string path, at.snapshot(name));
  const auto kind = quota_kind_of(path);
  if (!kind && kind.error().code == ENOENT)
    return fail(ENOENT, "home " + home + " has no snapshot " + name);
  if (!kind) return tl::make_unexpected(kind.error());
  PANAL_TRY(expect_closed(path));
  return remove_in_place(path, *kind);
}

Result<HomeOwner> HomeStore::unlock(const std::string& tenant, const std::string& home) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  auto owner = at.lock.owner();
  if (!owner && owner.error().code != EPROTO) return owner;
  if (!owner) {  // names nobody
    if (::unlink(at.lock.file().c_str()) != 0) return fail_errno("unlock", at.lock.file());
    return HomeOwner{"nobody", {}};
  }
  PANAL_TRY(at.lock.drop(*owner));
  return owner;
}

Result<void> HomeStore::with_tree(const std::string& tenant, const std::string& home,
                                  const std::string& snapshot, const HomeOwner& owner,
                                  const std::function<Result<void>(int tree)>& look) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  std::string path = at.path;
  Cleanup unlock;
  if (snapshot.empty()) {
    PANAL_ASSIGN(unlock, at.hold(owner));
  } else {
    PANAL_ASSIGN(path, at.snapshot(snapshot));
  }
  // Of a snapshot the file alone is a half.
  const auto kind = snapshot.empty() ? at.quota_kind() : quota_kind_of(path);
  if (!kind && kind.error().code == ENOENT)
    return fail(ENOENT, snapshot.empty() ? "there is no home " + home + " of tenant " + tenant
                                         : "home " + home + " has no snapshot " + snapshot);
  if (!kind) return tl::make_unexpected(kind.error());
  PANAL_ASSIGN(const UniqueFd tree, make_quota(*kind)->open(path));
  PANAL_ASSIGN(const UniqueFd root, root_of(tree, path));
  return look(root.get());
}

Result<void> HomeStore::put(const std::string& tenant, const std::string& home, bool over,
                            const HomeOwner& owner,
                            const std::function<Result<void>(int tree)>& fill) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  PANAL_TRY(make_home_directory(homes_dir_));
  PANAL_TRY(make_home_directory(at.tenant_dir));
  PANAL_ASSIGN(const Cleanup unlock, at.hold(owner));
  QuotaKind kind = rules_.quota;
  SpaceLimit limit = rules_.limit;
  const auto old = at.quota_kind();
  if (!old && old.error().code != ENOENT) return tl::make_unexpected(old.error());
  if (old && !over)
    return fail(EEXIST, "home " + home +
                            " is there already; --replace puts the backup in its "
                            "place, another name puts it beside it");
  if (old && *old != QuotaKind::kNone) {
    // What it was held to it is held to again.
    kind = *old;
    PANAL_ASSIGN(const SpaceUse use, make_quota(kind)->use(at.path));
    limit = use.limit;
  } else if (old) {
    // A directory without a quota can only be exchanged with one that is a directory too.
    if (kind == QuotaKind::kLoop) {
      kind = QuotaKind::kNone;
      limit = {};
    }
  }
  return build(at, kind, limit, fill);
}

}  // namespace panal::storage
