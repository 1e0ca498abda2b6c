#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

/// What /proc/PID/status tells of a process without walking its page tables.
/// Kernel: Documentation/filesystems/proc.rst.
struct ProcessStatus {
  std::string name;              ///< its own choice: a hint, and nothing to show unescaped
  bool alive = false;            ///< neither a zombie nor dead
  pid_t parent = 0;              ///< in the reader's pid namespace
  pid_t inner_pid = 0;           ///< in its own pid namespace
  pid_t inner_session = 0;       ///< its session leader, in the same
  std::uint32_t depth = 0;       ///< pid namespaces below the reader's
  std::uint64_t rss_bytes = 0;   ///< shared pages in full
  std::uint64_t swap_bytes = 0;  ///< anonymous; both 0 for a zombie
  /// Lists of seccomp it is under; nothing where the kernel does not say (before Linux 5.9).
  std::optional<std::uint32_t> seccomp_filters;
};

/// Errors: EPROTO.
[[nodiscard]] Result<ProcessStatus> parse_process_status(std::string_view text);
/// Errors: EPROTO; ENOENT, ESRCH when the process is gone.
[[nodiscard]] Result<ProcessStatus> read_process_status(const Tree& tree, pid_t pid);

}  // namespace panal::kernel
