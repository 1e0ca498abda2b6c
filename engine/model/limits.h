#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace panal {

/// "No limit" where a limit is a number of bytes.
inline constexpr std::uint64_t kUnlimited = UINT64_MAX;

/// How fast a group may read from and write to one disk; 0: as fast as it goes. v1 sees what is
/// read and what is written past the page cache, v2 also what is written back from there.
struct IoLimit {
  std::string device;  ///< "major:minor" of a whole disk
  std::uint64_t read_bytes_per_second = 0;
  std::uint64_t write_bytes_per_second = 0;

  [[nodiscard]] bool operator==(const IoLimit&) const = default;
};

/// What the kernel may take from a group when it is short of memory.
enum class Swapping : std::uint8_t {
  kNever,  ///< page cache only (v1 swappiness 0, v2 swap.max 0)
  kLast,   ///< from all others first (v1: page cache first, by swappiness; v2 memory.low, which
           ///< holds as far as the groups above are protected too: Cgroup::protect())
  kUsual,  ///< as the groups above say
};

/// Limits of one group of processes; an absent one is not set.
struct Limits {
  /// Hard limit of memory (v1 limit_in_bytes, v2 max); kUnlimited: none.
  std::optional<std::uint64_t> memory_bytes;
  /// What it is held to when memory is short (v1 soft_limit_in_bytes), or throttled above
  /// (v2 high); kUnlimited: none.
  std::optional<std::uint64_t> memory_soft_bytes;
  std::optional<Swapping> swapping;
  std::optional<std::uint64_t> pids;                ///< processes and threads
  std::optional<std::uint32_t> cpu_weight;          ///< v2 scale, 1..10000, 100 = normal
  std::optional<std::uint32_t> cpu_quota_permille;  ///< of one core; 2000 = two cores; 0 = none
  std::optional<std::uint32_t> io_weight;           ///< v2 scale, 1..10000, 100 = normal
  std::optional<IoLimit> io;

  [[nodiscard]] bool operator==(const Limits&) const = default;
};

}  // namespace panal
