// Project quotas of ext4 (feature project, mounted with prjquota) and xfs (pquota).
// Kernel: quotactl_fd(2) since 5.14; Documentation/filesystems/quota.rst, ext4, xfs.
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "storage/quota/kinds.h"

namespace panal::storage {
namespace {

/// Ids of ours begin here: those of /etc/projid and of container engines are small numbers.
constexpr std::uint32_t kFirstProject = 0x4000'0000U;
constexpr std::uint32_t kProjectMask = 0x3fff'ffffU;
constexpr int kMostTries = 64;

Result<if_dqblk> read_project(int dir, std::uint32_t id, const std::string& path) {
  if_dqblk block{};
  if (::syscall(SYS_quotactl_fd, dir, QCMD(Q_GETQUOTA, PRJQUOTA), id, &block) == 0) return block;
  if (errno == ENOENT) return if_dqblk{};  // xfs: nothing was ever counted for it
  if (errno == ESRCH || errno == ENOSYS || errno == EINVAL || errno == ENOTTY)
    return fail(EOPNOTSUPP,
                "project quotas are off for " + path +
                    " (ext4: tune2fs -O quota,project and mount option prjquota; xfs: pquota)");
  return fail_errno("read the project quota of", path);
}

Result<void> write_project(int dir, std::uint32_t id, const SpaceLimit& limit,
                           const std::string& path) {
  if_dqblk block{};
  block.dqb_bhardlimit = (limit.bytes + QIF_DQBLKSIZE - 1) / QIF_DQBLKSIZE;
  block.dqb_bsoftlimit = 0;
  block.dqb_ihardlimit = limit.inodes;
  block.dqb_valid = QIF_LIMITS;
  if (::syscall(SYS_quotactl_fd, dir, QCMD(Q_SETQUOTA, PRJQUOTA), id, &block) != 0)
    return fail_errno("set the project quota of", path);
  return {};
}

/// The directory's own number, which no other directory of the file system has; another where
/// something is counted for that one already (xfs has longer numbers than ids).
Result<std::uint32_t> choose_project(int dir, const std::string& path) {
  struct stat info{};
  if (::fstat(dir, &info) != 0) return fail_errno("look at", path);
  for (int i = 0; i < kMostTries; ++i) {
    const auto number = static_cast<std::uint32_t>(info.st_ino) + static_cast<std::uint32_t>(i);
    const std::uint32_t id = kFirstProject | (number & kProjectMask);
    PANAL_ASSIGN(const if_dqblk used, read_project(dir, id, path));
    if (used.dqb_curspace == 0 && used.dqb_curinodes == 0) return id;
  }
  return fail(EUSERS, "no project id is free for " + path);
}

Result<void> assign_project(int dir, std::uint32_t id, const std::string& path) {
  fsxattr attributes{};
  if (::ioctl(dir, FS_IOC_FSGETXATTR, &attributes) != 0)
    return fail_errno("read the project of", path);
  attributes.fsx_projid = id;
  attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  if (::ioctl(dir, FS_IOC_FSSETXATTR, &attributes) != 0)
    return fail_errno("set the project of", path);
  return {};
}

class ProjectQuota final : public Quota {
 public:
  QuotaKind kind() const override { return QuotaKind::kProject; }
  bool is_apart() const override { return false; }

  Result<void> provide(const std::string& path, const SpaceLimit& limit) override {
    auto made = make_private_directory(path);
    if (!made && made.error().code != EEXIST) return made;
    Cleanup undo;
    if (made) undo.push([&path] { (void)::rmdir(path.c_str()); });
    PANAL_ASSIGN(const UniqueFd dir, open_directory(path));
    std::uint32_t id = project_of(dir.get());
    if (id == 0) {
      // Files that are in it already would not be counted.
      if (!made) return fail(EOPNOTSUPP, path + " was made without a project quota");
      PANAL_ASSIGN(id, choose_project(dir.get(), path));
      PANAL_TRY(assign_project(dir.get(), id, path));
    }
    PANAL_TRY(write_project(dir.get(), id, limit, path));
    undo.release();
    return {};
  }
  Result<UniqueFd> open(const std::string& path) override { return mount::clone_tree(path); }

  Result<SpaceUse> use(const std::string& path) override {
    PANAL_ASSIGN(const UniqueFd dir, open_directory(path));
    const std::uint32_t id = project_of(dir.get());
    if (id == 0) return fail(EOPNOTSUPP, path + " has no project quota");
    PANAL_ASSIGN(const if_dqblk block, read_project(dir.get(), id, path));
    SpaceUse use;
    use.bytes = block.dqb_curspace;
    use.inodes = block.dqb_curinodes;
    use.limit = {block.dqb_bhardlimit * QIF_DQBLKSIZE, block.dqb_ihardlimit};
    return use;
  }
  Result<void> replace(const std::string& fresh, const std::string& path) override {
    PANAL_ASSIGN(const bool was_there, exchange_directories(fresh, path));
    return was_there ? remove(fresh) : Result<void>();
  }
  Result<void> remove(const std::string& path) override {
    const auto dir = open_directory(path);
    if (!dir && dir.error().code == ENOENT) return {};
    if (!dir) return tl::make_unexpected(dir.error());
    const std::uint32_t id = project_of(dir->get());
    // First the limit: were it left, it would be the next one's that gets this number.
    if (id >= kFirstProject) PANAL_TRY(write_project(dir->get(), id, {}, path));
    return remove_tree(path);
  }
};

}  // namespace

std::uint32_t project_of(int dir) {
  fsxattr attributes{};
  if (::ioctl(dir, FS_IOC_FSGETXATTR, &attributes) != 0) return 0;
  return attributes.fsx_projid;
}

std::unique_ptr<Quota> make_project_quota() { return std::make_unique<ProjectQuota>(); }

}  // namespace panal::storage
