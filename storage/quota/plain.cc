#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "storage/quota/kinds.h"

namespace panal::storage {
namespace {

constexpr std::uint64_t kStatBlock = 512;  // st_blocks' unit whatever the file system's

/// No limit at all; use() walks.
class NoQuota final : public Quota {
 public:
  QuotaKind kind() const override { return QuotaKind::kNone; }
  bool is_apart() const override { return false; }

  Result<void> provide(const std::string& path, const SpaceLimit& limit) override {
    if (limit.any())
      return fail(EOPNOTSUPP, path + " is not held by a quota and cannot have a limit");
    auto made = make_private_directory(path);
    if (!made && made.error().code == EEXIST) return {};
    return made;
  }
  Result<UniqueFd> open(const std::string& path) override { return mount::clone_tree(path); }
  Result<SpaceUse> use(const std::string& path) override {
    SpaceUse use;
    std::uint64_t inodes = 1;
    PANAL_TRY(walk_tree(path, [&](const TreeEntry& entry) -> Result<void> {
      use.bytes += static_cast<std::uint64_t>(entry.info.st_blocks) * kStatBlock;
      ++inodes;
      return {};
    }));
    use.inodes = inodes;
    return use;
  }
  Result<void> replace(const std::string& fresh, const std::string& path) override {
    PANAL_ASSIGN(const bool was_there, exchange_directories(fresh, path));
    return was_there ? remove_tree(fresh) : Result<void>();
  }
  Result<void> remove(const std::string& path) override { return remove_tree(path); }
};

/// A tmpfs each time it is opened: what is in it is the desktops' memory, charged to who wrote it.
class MemoryQuota final : public Quota {
 public:
  explicit MemoryQuota(const SpaceLimit& limit) : limit_(limit) {}
  QuotaKind kind() const override { return QuotaKind::kMemory; }
  bool is_apart() const override { return true; }

  Result<void> provide(const std::string& path, const SpaceLimit& /*limit*/) override {
    auto made = make_private_directory(path);
    if (!made && made.error().code == EEXIST) return {};
    return made;
  }
  Result<UniqueFd> open(const std::string& path) override {
    PANAL_ASSIGN(const bool directory, is_directory(path));
    if (!directory) return fail(ENOTDIR, path);
    std::vector<std::pair<std::string, std::string>> options = {{"source", "panal"},
                                                                {"mode", "0700"}};
    if (limit_.bytes != 0) options.emplace_back("size", std::to_string(limit_.bytes));
    if (limit_.inodes != 0) options.emplace_back("nr_inodes", std::to_string(limit_.inodes));
    return mount::create("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  }
  Result<SpaceUse> use(const std::string& path) override {
    // Of what is mounted there, which is the desktop's tmpfs while it runs.
    struct statvfs info{};
    if (::statvfs(path.c_str(), &info) != 0) return fail_errno("look at", path);
    SpaceUse use;
    use.bytes = (info.f_blocks - info.f_bfree) * info.f_frsize;
    use.inodes = info.f_files - info.f_ffree;
    use.limit = limit_;
    return use;
  }
  Result<void> replace(const std::string& /*fresh*/, const std::string& path) override {
    return fail(EOPNOTSUPP, path + " is in memory: there is nothing to keep");
  }
  Result<void> remove(const std::string& path) override {
    PANAL_TRY(mount::detach(path));
    return remove_tree(path);
  }

 private:
  SpaceLimit limit_;
};

Result<bool> exchange_names(const std::string& fresh, const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return fail_errno("look at", path);
    if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0)
      return false;
    // NFS cannot promise it; nobody else makes this name, who has the home's lock.
    if (errno == EINVAL && ::rename(fresh.c_str(), path.c_str()) == 0) return false;
    return fail_errno("rename", fresh);
  }
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0)
    return true;
  if (errno == EINVAL || errno == ENOSYS)
    return fail(EOPNOTSUPP, "the file system of " + path +
                                " cannot exchange two directories in one step; nothing was "
                                "changed: restore under another name instead");
  return fail_errno("exchange with " + fresh, path);
}

}  // namespace

PathParts split_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

Result<bool> is_directory(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return fail_errno("look at", path);
  return S_ISDIR(info.st_mode);
}

Result<UniqueFd> open_directory(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno("open", path);
  return fd;
}

Result<void> make_private_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) return fail_errno("make directory", path);
  return {};
}

Result<void> sync_parent(const std::string& path) {
  const std::string parent = split_path(path).parent;
  const UniqueFd dir(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return fail_errno("open", parent);
  // EINVAL: a file system that has no such thing for directories.
  if (::fsync(dir.get()) != 0 && errno != EINVAL) return fail_errno("fsync", parent);
  return {};
}

Result<bool> exchange_directories(const std::string& fresh, const std::string& path) {
  PANAL_ASSIGN(const bool was_there, exchange_names(fresh, path));
  PANAL_TRY(sync_parent(path));
  return was_there;
}

std::unique_ptr<Quota> make_no_quota() { return std::make_unique<NoQuota>(); }

std::unique_ptr<Quota> make_memory_quota(const SpaceLimit& limit) {
  return std::make_unique<MemoryQuota>(limit);
}

}  // namespace panal::storage
