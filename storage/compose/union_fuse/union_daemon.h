#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {

/// A program that mounts a file system of its own and then serves it, whoever started it lives or
/// not.
struct UnionDaemon {
  std::vector<std::string> argv;  ///< argv[0] is a path
  std::uint32_t id = 0;           ///< the user and group it runs as
  std::string mount_point;
  std::string log_file;   ///< what it says; made anew
  std::string lock_file;  ///< locked (flock(2)) as long as it lives
};

/// Starts it and waits until its mount is there. On error it is gone, and so is the mount.
/// Errors: ETIMEDOUT, ECHILD with the last words of its log, those of fork(2) and open(2).
[[nodiscard]] Result<void> start_daemon(const UnionDaemon& daemon,
                                        std::chrono::milliseconds patience);

/// Unmounts `mount_point` until nobody holds `lock_file`: a daemon may mount after it was looked
/// for, when its starter was killed. No lock file: nothing is waited for. Errors: ETIMEDOUT.
[[nodiscard]] Result<std::uint32_t> end_daemon(const std::string& mount_point,
                                               const std::string& lock_file,
                                               std::chrono::milliseconds patience);

}  // namespace panal::storage
