#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {

/// A loop device for a file: its path, and it open, without which it would end at once (it frees
/// itself when nobody has it open or mounted).
struct LoopDevice {
  UniqueFd fd;
  std::string path;
};

/// The device that the file has already, else a new one: direct I/O where the file's disk allows
/// (pages are then not cached twice), blocks of 4 KiB. Linux 5.8. Errors: ENOENT without loop
/// devices, EBUSY when others are always faster.
[[nodiscard]] Result<LoopDevice> attach_loop(const std::string& file);

}  // namespace panal::storage
