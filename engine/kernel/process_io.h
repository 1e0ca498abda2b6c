#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

/// What a process, and every child it has waited for, has had to do with disks since it began
/// (/proc/PID/io). Unlike a group's blkio on v1 it knows who wrote what goes through the page
/// cache; memory (tmpfs) is no disk.
/// Kernel: Documentation/filesystems/proc.rst.
struct ProcessIo {
  std::uint64_t read_bytes = 0;     ///< fetched from a disk
  std::uint64_t written_bytes = 0;  ///< made dirty
  /// Of the latter, deleted or truncated before it reached a disk; whoever deletes is charged, so
  /// it may be more than what the process wrote.
  std::uint64_t cancelled_bytes = 0;

  [[nodiscard]] bool operator==(const ProcessIo&) const = default;
};

/// Lines that are unknown are skipped. Errors: EPROTO.
[[nodiscard]] Result<ProcessIo> parse_process_io(std::string_view text);
/// Errors: EPROTO; EACCES for somebody else's; ENOENT, ESRCH when the process is gone.
[[nodiscard]] Result<ProcessIo> read_process_io(const Tree& tree, pid_t pid);

}  // namespace panal::kernel
