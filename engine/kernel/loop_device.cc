#include "engine/kernel/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/base/kernel_paths.h"

namespace panal::kernel {

Result<LoopDevice> attach_loop(const std::string& file) {
  constexpr int kTries = 16;
  const UniqueFd backing(::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!backing) return fail_errno("open", file);
  const std::string directory = kernel_paths::kDev;
  const UniqueFd control(::open((directory + "/loop-control").c_str(), O_RDWR | O_CLOEXEC));
  if (!control) return fail_errno("open", directory + "/loop-control");
  for (int i = 0; i < kTries; ++i) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return fail_errno("find", "a free loop device");
    LoopDevice device;
    device.node = directory + "/loop" + std::to_string(number);
    device.held = UniqueFd(::open(device.node.c_str(), O_RDWR | O_CLOEXEC));
    if (!device.held) return fail_errno("open", device.node);
    loop_config config{};
    config.fd = static_cast<std::uint32_t>(backing.get());
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    std::memcpy(config.info.lo_file_name, file.data(),
                std::min(file.size(), sizeof config.info.lo_file_name - 1));
    if (::ioctl(device.held.get(), LOOP_CONFIGURE, &config) == 0) return device;
    if (errno != EBUSY) return fail_errno("attach " + file + " to", device.node);
  }
  return fail(EBUSY, "attach " + file + ": others took each free loop device");
}

}  // namespace panal::kernel
