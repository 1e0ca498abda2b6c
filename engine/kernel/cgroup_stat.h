#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

/// What a group uses, groups below it included. A value is absent when its controller is.
struct CgroupStatistics {
  std::optional<std::uint64_t> memory_bytes;  ///< the whole charge
  std::optional<std::uint64_t> anon_bytes;
  std::optional<std::uint64_t> file_bytes;  ///< page cache charged here (first touch)
  std::optional<std::uint64_t> kernel_bytes;
  std::optional<std::uint64_t> swap_bytes;  ///< swapped out, before compression
  std::optional<std::uint64_t> oom_kills;   ///< since the group was made; v1: this group alone
  std::optional<std::uint64_t> cpu_ns;      ///< since the group was made
  std::optional<std::uint64_t> pids;        ///< processes and threads
};

/// Parses `key number` lines (memory.stat, cpu.stat, memory.events, memory.oom_control).
/// Errors: EPROTO for a line that is not two words, the second a number.
[[nodiscard]] Result<std::unordered_map<std::string, std::uint64_t>> parse_flat_keyed(
    std::string_view text);

/// Adds what the memory controller knows; `version` of its hierarchy. Errors: EPROTO, ENODEV.
[[nodiscard]] Result<void> read_memory(const Dir& group, int version, CgroupStatistics& into);
/// Adds the CPU time; the group's directory in the hierarchy of cpuacct (v1) or the v2 one.
[[nodiscard]] Result<void> read_cpu(const Dir& group, int version, CgroupStatistics& into);
/// A file with one number. "max" reads as UINT64_MAX. Errors: EPROTO.
[[nodiscard]] Result<std::uint64_t> read_number(const Dir& dir, const std::string& file);

}  // namespace panal::kernel
