// btrfs: a subvolume for each directory, held by its own quota group (level 0, made with it).
// Kernel: fs/btrfs/qgroup.c; limits are of referenced bytes. There is no limit of inodes: btrfs has
// no fixed number of them, what a small file takes is bytes of metadata and counts.
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "storage/quota/kinds.h"
#include "storage/quota/qgroup_items.h"

namespace panal::storage {
namespace {

Result<void> copy_subvolume_name(char* out, std::size_t size, const std::string& name) {
  if (name.empty() || name.size() >= size) return fail(ENAMETOOLONG, "subvolume " + name);
  std::memcpy(out, name.c_str(), name.size() + 1);
  return {};
}

bool is_btrfs(int dir) {
  struct statfs info{};
  return ::fstatfs(dir, &info) == 0 &&
         info.f_type == static_cast<decltype(info.f_type)>(BTRFS_SUPER_MAGIC);
}

Result<void> make_subvolume(const std::string& path) {
  const PathParts parts = split_path(path);
  PANAL_ASSIGN(const UniqueFd parent, open_directory(parts.parent));
  if (!is_btrfs(parent.get())) return fail(EOPNOTSUPP, parts.parent + " is not on btrfs");
  btrfs_ioctl_vol_args arguments{};
  PANAL_TRY(copy_subvolume_name(arguments.name, sizeof arguments.name, parts.name));
  if (::ioctl(parent.get(), BTRFS_IOC_SUBVOL_CREATE, &arguments) != 0)
    return fail_errno("make subvolume", path);
  return {};
}

/// Of the subvolume that `dir` lies in, which is its group's number too.
Result<std::uint64_t> subvolume_number(int dir, const std::string& path) {
  btrfs_ioctl_ino_lookup_args arguments{};
  arguments.objectid = BTRFS_FIRST_FREE_OBJECTID;
  if (::ioctl(dir, BTRFS_IOC_INO_LOOKUP, &arguments) != 0)
    return fail_errno("find the subvolume of", path);
  return arguments.treeid;
}

Result<void> limit_subvolume(int dir, const SpaceLimit& limit, const std::string& path) {
  btrfs_ioctl_qgroup_limit_args arguments{};
  arguments.lim.flags = BTRFS_QGROUP_LIMIT_MAX_RFER;
  arguments.lim.max_rfer = limit.bytes == 0 ? ~std::uint64_t{0} : limit.bytes;  // ~0: takes it away
  if (::ioctl(dir, BTRFS_IOC_QGROUP_LIMIT, &arguments) == 0) return {};
  if (errno == ENOTCONN || errno == EINVAL)
    return fail(EOPNOTSUPP, "quotas are off on the btrfs of " + path +
                                "; `btrfs quota enable` switches them on for all of it");
  return fail_errno("limit subvolume", path);
}

/// Keys compare type before offset: between a group's two items lie those of other groups, so each
/// is asked for by itself, and the answers are put together.
Result<QgroupNumbers> read_qgroup(int dir, std::uint64_t group, const std::string& path) {
  std::string items;
  std::uint32_t count = 0;
  for (const std::uint32_t type :
       {std::uint32_t{BTRFS_QGROUP_INFO_KEY}, std::uint32_t{BTRFS_QGROUP_LIMIT_KEY}}) {
    btrfs_ioctl_search_args search{};
    search.key.tree_id = BTRFS_QUOTA_TREE_OBJECTID;
    search.key.max_transid = ~std::uint64_t{0};
    search.key.min_type = search.key.max_type = type;
    search.key.min_offset = search.key.max_offset = group;
    search.key.nr_items = 1;
    if (::ioctl(dir, BTRFS_IOC_TREE_SEARCH, &search) != 0) {
      if (errno == ENOENT) return fail(EOPNOTSUPP, "quotas are off on the btrfs of " + path);
      return fail_errno("read the quota group of", path);
    }
    if (search.key.nr_items == 0) continue;
    btrfs_ioctl_search_header header{};
    std::memcpy(&header, search.buf, sizeof header);
    const std::size_t size = sizeof header + header.len;
    if (size > sizeof search.buf) return fail(EPROTO, "btrfs quota tree: an item is cut");
    items.append(search.buf, size);
    ++count;
  }
  return parse_qgroup_items(items, count, group);
}

class QgroupQuota final : public Quota {
 public:
  QuotaKind kind() const override { return QuotaKind::kQgroup; }
  bool is_apart() const override { return false; }

  Result<void> provide(const std::string& path, const SpaceLimit& limit) override {
    if (limit.inodes != 0)
      return fail(EINVAL, "btrfs has no limit of inodes; give " + path + " one of bytes only");
    const auto there = is_directory(path);
    Cleanup undo;
    if (!there) {
      if (there.error().code != ENOENT) return tl::make_unexpected(there.error());
      PANAL_TRY(make_subvolume(path));
      undo.push([&path] { (void)remove_subvolume(path); });
    }
    PANAL_ASSIGN(const UniqueFd dir, open_directory(path));
    if (!is_subvolume(dir.get()))
      return fail(EOPNOTSUPP, path + " is no subvolume and cannot have a quota group");
    if (!there && ::fchmod(dir.get(), 0700) != 0) return fail_errno("chmod", path);
    PANAL_TRY(limit_subvolume(dir.get(), limit, path));
    undo.release();
    return {};
  }
  Result<UniqueFd> open(const std::string& path) override { return mount::clone_tree(path); }

  Result<SpaceUse> use(const std::string& path) override {
    PANAL_ASSIGN(const UniqueFd dir, open_directory(path));
    PANAL_ASSIGN(const std::uint64_t group, subvolume_number(dir.get(), path));
    PANAL_ASSIGN(const QgroupNumbers numbers, read_qgroup(dir.get(), group, path));
    SpaceUse use;
    use.bytes = numbers.referenced_bytes;
    use.limit.bytes = numbers.limit_bytes.value_or(0);
    return use;
  }
  Result<void> replace(const std::string& fresh, const std::string& path) override {
    PANAL_ASSIGN(const bool was_there, exchange_directories(fresh, path));
    return was_there ? remove(fresh) : Result<void>();
  }
  Result<void> remove(const std::string& path) override { return remove_subvolume(path); }
};

/// Of one subvolume, in which there is no other.
Result<void> destroy_subvolume(const std::string& path) {
  PANAL_ASSIGN(const UniqueFd dir, open_directory(path));
  PANAL_ASSIGN(const std::uint64_t number, subvolume_number(dir.get(), path));
  const PathParts parts = split_path(path);
  PANAL_ASSIGN(const UniqueFd parent, open_directory(parts.parent));
  btrfs_ioctl_vol_args arguments{};
  PANAL_TRY(copy_subvolume_name(arguments.name, sizeof arguments.name, parts.name));
  if (::ioctl(parent.get(), BTRFS_IOC_SNAP_DESTROY, &arguments) != 0)
    return fail_errno("delete subvolume", path);
  // Its group is empty once the kernel has cleaned up; until then it may be busy, and is harmless.
  btrfs_ioctl_qgroup_create_args group{0, number};
  (void)::ioctl(parent.get(), BTRFS_IOC_QGROUP_CREATE, &group);
  return {};
}

/// Any user can make subvolumes in a directory of theirs, and read-only snapshots too: those are
/// deleted first, deepest first.
Result<void> remove_with_nested(const std::string& path, int depth) {
  constexpr int kMostNested = 64;
  const auto dir = open_directory(path);
  if (!dir && dir.error().code == ENOENT) return {};
  if (!dir) return tl::make_unexpected(dir.error());
  auto destroyed = destroy_subvolume(path);
  if (destroyed || destroyed.error().code != ENOTEMPTY) return destroyed;
  if (depth >= kMostNested) return fail(EOVERFLOW, "delete subvolume " + path + ": too deep");
  struct stat own{};
  if (::fstat(dir->get(), &own) != 0) return fail_errno("look at", path);
  std::vector<std::string> nested;
  PANAL_TRY(walk_tree(path, [&](const TreeEntry& entry) -> Result<void> {
    // The root of another one: walk_tree() does not enter it.
    if (S_ISDIR(entry.info.st_mode) && entry.info.st_dev != own.st_dev)
      nested.push_back(path + "/" + entry.path);
    return {};
  }));
  // A name in one that is read-only cannot be taken away.
  std::uint64_t flags = 0;
  (void)::ioctl(dir->get(), BTRFS_IOC_SUBVOL_SETFLAGS, &flags);
  for (const std::string& one : nested) PANAL_TRY(remove_with_nested(one, depth + 1));
  return destroy_subvolume(path);
}

}  // namespace

bool is_subvolume(int dir) {
  struct stat info{};
  return ::fstat(dir, &info) == 0 && info.st_ino == BTRFS_FIRST_FREE_OBJECTID && is_btrfs(dir);
}

Result<void> snapshot_subvolume(const std::string& from, const std::string& to) {
  const PathParts parts = split_path(to);
  PANAL_ASSIGN(const UniqueFd source, open_directory(from));
  PANAL_ASSIGN(const UniqueFd parent, open_directory(parts.parent));
  btrfs_ioctl_vol_args_v2 arguments{};
  arguments.fd = source.get();
  arguments.flags = BTRFS_SUBVOL_RDONLY;
  PANAL_TRY(copy_subvolume_name(arguments.name, sizeof arguments.name, parts.name));
  if (::ioctl(parent.get(), BTRFS_IOC_SNAP_CREATE_V2, &arguments) != 0)
    return fail_errno("make snapshot", to);
  return {};
}

Result<void> remove_subvolume(const std::string& path) { return remove_with_nested(path, 0); }

std::unique_ptr<Quota> make_qgroup_quota() { return std::make_unique<QgroupQuota>(); }

}  // namespace panal::storage
