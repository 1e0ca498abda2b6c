#include "storage/compose/btrfs/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"

namespace panal::storage {
namespace {

std::string loop_path(const std::string& name) {
  return std::string(kernel_paths::kDev) + "/" + name;
}

/// Mounting a file by two devices would destroy it.
Result<LoopDevice> find_attached(const struct stat& file) {
  PANAL_ASSIGN(const Dir devices, Dir::open(kernel_paths::kDev));
  PANAL_ASSIGN(const auto names, devices.list());
  for (const std::string& name : names) {
    if (!name.starts_with("loop") || name == "loop-control") continue;
    UniqueFd fd(::openat(devices.fd(), name.c_str(), O_RDONLY | O_CLOEXEC));
    loop_info64 info{};
    if (!fd || ::ioctl(fd.get(), LOOP_GET_STATUS64, &info) != 0) continue;
    if (info.lo_device == file.st_dev && info.lo_inode == file.st_ino)
      return LoopDevice{std::move(fd), loop_path(name)};
  }
  return LoopDevice{};
}

}  // namespace

Result<LoopDevice> attach_loop(const std::string& file) {
  const UniqueFd backing(::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!backing) return fail_errno("open", file);
  struct stat info{};
  if (::fstat(backing.get(), &info) != 0) return fail_errno("stat", file);
  PANAL_ASSIGN(LoopDevice attached, find_attached(info));
  if (attached.fd) return attached;

  const std::string control_path = loop_path("loop-control");
  const UniqueFd control(::open(control_path.c_str(), O_RDWR | O_CLOEXEC));
  if (!control) return fail_errno("open", control_path);
  loop_config config{};
  config.fd = static_cast<__u32>(backing.get());
  config.block_size = 4096;
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
  const std::size_t shown = std::min(file.size(), sizeof config.info.lo_file_name - 1);
  std::copy_n(file.begin(), shown, config.info.lo_file_name);
  for (int attempt = 0; attempt < 16; ++attempt) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return fail_errno("find a free loop device");
    LoopDevice device;
    device.path = loop_path("loop" + std::to_string(number));
    device.fd = UniqueFd(::open(device.path.c_str(), O_RDWR | O_CLOEXEC));
    if (!device.fd) return fail_errno("open", device.path);
    if (::ioctl(device.fd.get(), LOOP_CONFIGURE, &config) == 0) return device;
    if (errno != EBUSY) return fail_errno("set up", device.path);
    // Somebody else was faster.
  }
  return fail(EBUSY, "set up a loop device for " + file);
}

}  // namespace panal::storage
