#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"

/// Kernel: Documentation/filesystems/proc.rst, loadavg.
namespace panal::kernel {

struct TaskCounts {
  std::uint32_t runnable = 0;  ///< want a CPU now, those that have one included
  std::uint32_t total = 0;     ///< processes and threads

  [[nodiscard]] bool operator==(const TaskCounts&) const = default;
};

/// Parses the fourth word of `0.20 0.18 0.12 1/80 11206`. Errors: EPROTO.
[[nodiscard]] Result<TaskCounts> parse_task_counts(std::string_view text);
/// The host's, whatever pid namespace the reader is in.
[[nodiscard]] Result<TaskCounts> read_task_counts(const Tree& tree);

}  // namespace panal::kernel
