#include "storage/compose/btrfs/pool.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/mount.h"
#include "engine/base/unique_fd.h"
#include "storage/compose/btrfs/loop_device.h"
#include "storage/compose/layer/layer_dir.h"
#include "storage/compose/program/run_program.h"

namespace panal::storage {
namespace {

constexpr std::chrono::minutes kFormatPatience{2};

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

/// The file appears whole: with its file system, or not at all.
Result<void> make_loop_file(const std::string& file, std::uint64_t bytes) {
  if (::access(file.c_str(), F_OK) == 0) return {};
  const std::string aside = file + ".new";
  const UniqueFd fd(
      ::open(aside.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno("create", aside);
  Cleanup remove([&aside] { (void)::unlink(aside.c_str()); });
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return fail_errno("enlarge", aside);
  PANAL_TRY(run_program({"mkfs.btrfs", "--quiet", "--label", "panal", aside}, kFormatPatience));
  if (::fsync(fd.get()) != 0) return fail_errno("write out", aside);
  if (::rename(aside.c_str(), file.c_str()) != 0) return fail_errno("rename", aside);
  remove.release();
  return {};
}

Result<void> mount_loop_file(const BtrfsOptions& options) {
  PANAL_ASSIGN(const bool mounted, is_mounted_at(options.pool));
  if (mounted) return {};
  PANAL_TRY(make_loop_file(options.loop_file, options.loop_bytes));
  PANAL_ASSIGN(const LoopDevice device, attach_loop(options.loop_file));
  auto made =
      mount::create("btrfs", {{"source", device.path}}, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME);
  if (!made && made.error().code == ENODEV)
    return fail(EOPNOTSUPP, "compose: this kernel has no btrfs; choose another backend");
  if (!made) return prefixed("mount " + options.loop_file, made.error());
  return mount::attach(made->get(), options.pool);
}

}  // namespace

bool is_on_btrfs(const std::string& path) {
  struct statfs info{};
  std::string at = path;
  while (::statfs(at.c_str(), &info) != 0) {
    if (errno != ENOENT || at == "/" || at.empty()) return false;
    at = parent_of(at);
  }
  return static_cast<unsigned long>(info.f_type) == BTRFS_SUPER_MAGIC;
}

Result<void> open_pool(const BtrfsOptions& options) {
  if (options.pool.empty())
    return fail(EINVAL, "compose: no directory for btrfs snapshots is configured");
  PANAL_TRY(make_directory(options.pool, 0700));
  if (options.loop_bytes > 0) PANAL_TRY(mount_loop_file(options));
  if (!is_on_btrfs(options.pool))
    return fail(EOPNOTSUPP,
                "compose: " + options.pool +
                    " is not on btrfs: name a directory that is (btrfs in [compose]), or let a "
                    "file be made for it (btrfs_loop_size)");
  for (const char* name : {"templates", "volatile", "persistent", "aside"})
    PANAL_TRY(make_directory(options.pool + "/" + name, 0700));
  return {};
}

}  // namespace panal::storage
