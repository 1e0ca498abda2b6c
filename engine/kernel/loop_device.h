#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::kernel {

/// A file as a block device; the kernel takes it apart once nobody has it open.
struct LoopDevice {
  std::string node;  ///< of the device
  UniqueFd held;     ///< keeps it until somebody else has it open
};

/// `file`: a path of a regular file. Whoever lives in another /dev has no node for a new device.
/// Errors: those of open(2); ENOENT without loop devices; ENOTTY before Linux 5.8; EBUSY when
/// others always were quicker.
[[nodiscard]] Result<LoopDevice> attach_loop(const std::string& file);

}  // namespace panal::kernel
