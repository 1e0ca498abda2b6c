#include "bench/versions/qcow2_chain.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "bench/versions/tree_file.h"
#include "engine/base/cleanup.h"
#include "engine/base/mount.h"
#include "engine/base/unique_fd.h"
#include "storage/compose/btrfs/loop_device.h"
#include "storage/compose/program/run_program.h"

namespace panal::bench {
namespace {

using storage::run_program;

constexpr std::chrono::minutes kDiskPatience{10};
constexpr std::uint64_t kLeastRoom = std::uint64_t{128} << 20U;
constexpr std::uint64_t kStatBlock = 512;

Result<std::uint64_t> bytes_on_disk(const std::string& file) {
  struct stat info{};
  if (::stat(file.c_str(), &info) != 0) return fail_errno("look at", file);
  return static_cast<std::uint64_t>(info.st_blocks) * kStatBlock;
}

}  // namespace

std::string Qcow2Chain::why_not() {
  if (!storage::has_program("qemu-img")) return "qemu-img is not installed (scripts/setup bench)";
  return storage::has_program("mke2fs") ? "" : "mke2fs is not installed (scripts/setup run)";
}

Result<Qcow2Chain> Qcow2Chain::make(const std::string& directory, const std::string& root,
                                    std::uint64_t tree_bytes) {
  if (::mkdir(directory.c_str(), 0700) != 0) return fail_errno("make directory", directory);
  Qcow2Chain out(directory);
  const std::uint64_t mib = (tree_bytes + tree_bytes / 2 + kLeastRoom) >> 20U;
  // Tables that the kernel fills in later would look like changes of the first updates.
  PANAL_TRY(run_program(
      {"mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-E",
       "lazy_itable_init=0,lazy_journal_init=0", "-d", root, out.disk(), std::to_string(mib) + "M"},
      kDiskPatience));
  const std::string base = directory + "/base.qcow2";
  PANAL_TRY(run_program({"qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", out.disk(), base},
                        kDiskPatience));
  PANAL_ASSIGN(out.base_bytes_, bytes_on_disk(base));
  if (::unlink(base.c_str()) != 0) return fail_errno("delete", base);
  PANAL_TRY(run_program({"cp", "--sparse=always", out.disk(), out.former()}, kDiskPatience));
  return out;
}

Result<void> Qcow2Chain::write(const std::string& root,
                               const std::vector<std::string>& files) const {
  const std::string target = directory_ + "/mounted";
  if (::mkdir(target.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_errno("make directory", target);
  PANAL_ASSIGN(const storage::LoopDevice device, storage::attach_loop(disk()));
  {
    PANAL_ASSIGN(const UniqueFd made,
                 mount::create("ext4", {{"source", device.path}},
                               MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID));
    PANAL_TRY(mount::attach(made.get(), target));
  }
  const Cleanup unmount([&target] { (void)mount::detach(target); });
  const UniqueFd from(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!from) return fail_errno("open", root);
  const UniqueFd to(::open(target.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!to) return fail_errno("open", target);
  for (const std::string& path : files) {
    PANAL_ASSIGN(const auto file, take_file(from.get(), path));
    if (!file) return fail(ENOENT, "the update's file " + path + " is gone");
    PANAL_TRY(put_file(to.get(), path, *file));
  }
  if (::syncfs(to.get()) != 0) return fail_errno("sync", target);
  return {};
}

Result<std::uint64_t> Qcow2Chain::add(const std::string& root,
                                      const std::vector<std::string>& files) {
  PANAL_TRY(write(root, files));
  const std::string link = directory_ + "/link.qcow2";
  PANAL_TRY(run_program(
      {"qemu-img", "create", "-q", "-f", "qcow2", "-b", disk(), "-F", "raw", link}, kDiskPatience));
  PANAL_TRY(
      run_program({"qemu-img", "rebase", "-q", "-f", "qcow2", "-b", former(), "-F", "raw", link},
                  kDiskPatience));
  PANAL_ASSIGN(const std::uint64_t bytes, bytes_on_disk(link));
  PANAL_TRY(run_program({"qemu-img", "commit", "-q", "-f", "qcow2", "-d", link}, kDiskPatience));
  if (::unlink(link.c_str()) != 0) return fail_errno("delete", link);
  return bytes;
}

Result<void> Qcow2Chain::check() const {
  PANAL_TRY(run_program({"qemu-img", "compare", "-q", "-f", "raw", "-F", "raw", disk(), former()},
                        kDiskPatience));
  return {};
}

}  // namespace panal::bench
