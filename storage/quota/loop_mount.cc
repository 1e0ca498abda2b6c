#include "storage/quota/loop_mount.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/cleanup.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/mount.h"
#include "storage/quota/ext4_size.h"
#include "storage/quota/kinds.h"
#include "storage/quota/tool.h"

namespace panal::storage::loop_file {
namespace {

constexpr int kDeviceTries = 32;  // others take the device that we were told is free
constexpr std::uint64_t kBlock = 4096;
constexpr std::uint64_t kLeastInodes = 16;
constexpr std::uint64_t kOwnInodes = 11;  ///< ext4's own
/// A last group that is too small for its own tables is left out.
constexpr std::uint64_t kLostAtEnd = std::uint64_t{16} << 20U;
/// Linux's ext4: grows a mounted file system to so many blocks.
constexpr unsigned long kExt4Resize = _IOW('f', 16, __u64);

/// The backing file, locked for as long as anybody holds this open file: a loop device does.
Result<UniqueFd> open_locked(const std::string& file) {
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno("open", file);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return fail(EBUSY, file + " is mounted already");
    return fail_errno("lock", file);
  }
  return fd;
}

Result<std::uint64_t> size_inside(int fd, const std::string& file) {
  char block[kExt4SuperblockBytes];
  const ssize_t got = ::pread(fd, block, sizeof block, static_cast<off_t>(kExt4SuperblockAt));
  if (got < 0) return fail_errno("read", file);
  auto size = parse_ext4_size({block, static_cast<std::size_t>(got)});
  if (!size) return prefixed(file, size.error());
  return size;
}

/// Which growing a mounted ext4 needs; a container's root may be without.
bool has_sys_resource() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  return ::syscall(SYS_capget, &header, data) == 0 &&
         (data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective & CAP_TO_MASK(CAP_SYS_RESOURCE)) != 0;
}

struct Device {
  UniqueFd fd;  ///< while it is open the device stays, and the mount then holds it
  std::string path;
};

Result<Device> attach_device(const UniqueFd& backing, const std::string& file) {
  const std::string dev = kernel_paths::kDev;
  const UniqueFd control(::open((dev + "/loop-control").c_str(), O_RDWR | O_CLOEXEC));
  if (!control) return fail(ENODEV, "this kernel has no loop devices (" + dev + "/loop-control)");
  for (int i = 0; i < kDeviceTries; ++i) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return fail_errno("find a free loop device for", file);
    Device device{{}, dev + "/loop" + std::to_string(number)};
    device.fd = UniqueFd(::open(device.path.c_str(), O_RDWR | O_CLOEXEC));
    if (!device.fd) return fail_errno("open", device.path);
    loop_config setup{};
    setup.fd = static_cast<__u32>(backing.get());
    setup.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (::ioctl(device.fd.get(), LOOP_CONFIGURE, &setup) == 0) return device;
    if (errno != EBUSY) return fail_errno("set up " + device.path + " for", file);
  }
  return fail(EBUSY, "no loop device could be had for " + file);
}

Result<void> remove_lost_and_found(const std::string& file) {
  PANAL_ASSIGN(const UniqueFd tree, open(file));
  // What a mount is held by is an O_PATH descriptor.
  const UniqueFd root(::openat(tree.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail_errno("open", file);
  // A user would wonder; e2fsck makes it again if it ever needs it.
  if (::unlinkat(root.get(), "lost+found", AT_REMOVEDIR) != 0 && errno != ENOENT)
    return fail_errno("remove lost+found of", file);
  if (::fchmod(root.get(), 0700) != 0) return fail_errno("chmod", file);
  return {};
}

}  // namespace

Result<void> make(const std::string& file, const SpaceLimit& limit, const std::string& features) {
  if (limit.bytes < kLeastBytes)
    return fail(EINVAL, "a home or layer in a file needs a size of at least 16 MiB: set its limit");
  struct stat info{};
  if (::lstat(file.c_str(), &info) == 0) return fail(EEXIST, file + " is there already");
  const std::string aside = file + ".new";
  (void)::unlink(aside.c_str());  // half of an earlier one
  const Cleanup remove([&aside] { (void)::unlink(aside.c_str()); });
  {
    const UniqueFd fd(::open(aside.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) return fail_errno("create", aside);
    const std::uint64_t size = limit.bytes / kBlock * kBlock;
    if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return fail_errno("size", aside);
  }
  // -m 0: nothing is kept for root. -b: small ones would get another block size, which grow() does
  // not reckon with. lazy_itable_init: a new file is a hole and reads as zeros.
  std::vector<std::string> words = {"mke2fs",
                                    "-q",
                                    "-F",
                                    "-t",
                                    "ext4",
                                    "-m",
                                    "0",
                                    "-I",
                                    "256",
                                    "-E",
                                    "lazy_itable_init=1,lazy_journal_init=1,nodiscard"};
  words.insert(words.end(), {"-b", std::to_string(kBlock)});
  if (limit.inodes != 0) {
    words.emplace_back("-N");
    words.push_back(std::to_string(std::max(limit.inodes + kOwnInodes, kLeastInodes)));
  }
  if (!features.empty()) {
    words.emplace_back("-O");
    words.push_back(features);
  }
  words.push_back(aside);
  PANAL_TRY(run_tool(words));
  PANAL_TRY(remove_lost_and_found(aside));
  const UniqueFd done(::open(aside.c_str(), O_RDWR | O_CLOEXEC));
  if (!done || ::fsync(done.get()) != 0) return fail_errno("fsync", aside);
  if (::rename(aside.c_str(), file.c_str()) != 0) return fail_errno("rename", aside);
  return {};
}

Result<UniqueFd> open(const std::string& file,
                      const std::vector<std::pair<std::string, std::string>>& options) {
  PANAL_ASSIGN(const UniqueFd backing, open_locked(file));
  PANAL_ASSIGN(const Device device, attach_device(backing, file));
  // discard: what is deleted inside becomes a hole in the file.
  std::vector<std::pair<std::string, std::string>> all = {
      {"source", device.path}, {"discard", ""}, {"errors", "remount-ro"}};
  all.insert(all.end(), options.begin(), options.end());
  auto made = mount::create("ext4", all, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  if (!made) return prefixed("mount " + file, made.error());
  return made;
}

Result<void> expect_unmounted(const std::string& file) {
  PANAL_TRY(open_locked(file));
  return {};
}

Result<void> grow(const std::string& file, std::uint64_t bytes) {
  const std::uint64_t size = bytes / kBlock * kBlock;
  struct stat info{};
  if (::lstat(file.c_str(), &info) != 0) return fail_errno("look at", file);
  const auto now = static_cast<std::uint64_t>(info.st_size);
  if (size < now)
    return fail(EINVAL,
                "a file system in a file cannot be made smaller; back it up, remove it and "
                "restore it with the new limit");
  {
    PANAL_ASSIGN(const UniqueFd locked, open_locked(file));
    // The file may have been made larger by somebody who died before what is in it was.
    PANAL_ASSIGN(const std::uint64_t inside, size_inside(locked.get(), file));
    if (size == now && inside + kLostAtEnd >= size) return {};
    if (!has_sys_resource())
      return fail(EINVAL,
                  "a file system in a file can be made larger only with CAP_SYS_RESOURCE, which is "
                  "missing here; back it up, remove it and restore it with the new limit");
    if (::ftruncate(locked.get(), static_cast<off_t>(size)) != 0) return fail_errno("size", file);
  }
  PANAL_ASSIGN(const UniqueFd root, open(file));
  const UniqueFd directory(::openat(root.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail_errno("open", file);
  __u64 blocks = size / kBlock;
  if (::ioctl(directory.get(), kExt4Resize, &blocks) != 0) return fail_errno("grow", file);
  return {};
}

Result<SpaceUse> use(int mount_fd) {
  struct statvfs info{};
  if (::fstatvfs(mount_fd, &info) != 0) return fail_errno("look at a file system in a file");
  SpaceUse use;
  use.bytes = (info.f_blocks - info.f_bfree) * info.f_frsize;
  use.inodes = info.f_files - info.f_ffree;
  use.limit = {info.f_blocks * info.f_frsize, info.f_files};
  return use;
}

}  // namespace panal::storage::loop_file

namespace panal::storage {
namespace {

constexpr std::uint64_t kOwnInodes = 11;  ///< ext4's own

class LoopQuota final : public Quota {
 public:
  QuotaKind kind() const override { return QuotaKind::kLoop; }
  bool is_apart() const override { return true; }

  Result<void> provide(const std::string& path, const SpaceLimit& limit) override {
    const std::string file = loop_file_of(path);
    if (has_loop_file(path)) {
      PANAL_TRY(ensure_directory(path, file));
      return loop_file::grow(file, limit.bytes);
    }
    const auto there = is_directory(path);
    if (there) return fail(EOPNOTSUPP, path + " was made without a file of its own");
    if (there.error().code != ENOENT) return tl::make_unexpected(there.error());
    // The file last: a directory alone is an empty one of no kind, and is taken away on error.
    PANAL_TRY(make_private_directory(path));
    Cleanup undo([&path] { (void)::rmdir(path.c_str()); });
    PANAL_TRY(loop_file::make(file, limit));
    undo.release();
    return {};
  }
  Result<UniqueFd> open(const std::string& path) override {
    return loop_file::open(loop_file_of(path));
  }
  Result<SpaceUse> use(const std::string& path) override {
    const std::string file = loop_file_of(path);
    struct stat info{};
    if (::lstat(file.c_str(), &info) != 0) return fail_errno("look at", file);
    SpaceUse use;
    const auto root = loop_file::open(file);
    if (root) {
      PANAL_ASSIGN(use, loop_file::use(root->get()));
      if (use.limit.inodes > kOwnInodes) use.limit.inodes -= kOwnInodes;
    } else if (root.error().code == EBUSY) {
      // Mounted by a desktop: the file tells what it takes here, not what is in it.
      constexpr std::uint64_t kFileBlock = 512;  // st_blocks' unit
      use.bytes = static_cast<std::uint64_t>(info.st_blocks) * kFileBlock;
    } else {
      return tl::make_unexpected(root.error());
    }
    use.limit.bytes = static_cast<std::uint64_t>(info.st_size);  // what it was made with
    return use;
  }
  Result<void> replace(const std::string& fresh, const std::string& path) override {
    const std::string file = loop_file_of(path);
    const auto there = is_directory(path);
    if (there && !has_loop_file(path))
      return fail(EOPNOTSUPP, path + " has no file of its own; restore under another name");
    // The file first: what there is without it would be taken for a home that is none of ours.
    if (::rename(loop_file_of(fresh).c_str(), file.c_str()) != 0)
      return fail_errno("rename", loop_file_of(fresh));
    PANAL_TRY(ensure_directory(path, file));
    PANAL_TRY(sync_parent(path));
    return remove(fresh);
  }
  Result<void> remove(const std::string& path) override {
    const std::string file = loop_file_of(path);
    // Nobody may have it mounted: the file would stay as long as that, but nameless.
    const auto locked = UniqueFd(::open(file.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    if (locked && ::flock(locked.get(), LOCK_EX | LOCK_NB) != 0)
      return fail(EBUSY, file + " is mounted");
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return fail_errno("delete", file);
    if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return fail_errno("delete", path);
    return {};
  }

 private:
  static Result<void> ensure_directory(const std::string& path, const std::string& file) {
    auto made = make_private_directory(path);
    if (made || made.error().code == EEXIST) return {};
    return prefixed("make room for " + file, made.error());
  }
};

}  // namespace

std::string loop_file_of(const std::string& path) {
  const PathParts parts = split_path(path);
  return parts.parent + "/." + parts.name + ".img";
}

bool has_loop_file(const std::string& path) {
  struct stat info{};
  return ::lstat(loop_file_of(path).c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

std::unique_ptr<Quota> make_loop_quota() { return std::make_unique<LoopQuota>(); }

}  // namespace panal::storage
