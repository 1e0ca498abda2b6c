#pragma once

#include <cstdint>
#include <optional>

namespace panal {

/// Hard limits of one group of processes; an absent one is not set.
struct Limits {
  std::optional<std::uint64_t> memory_bytes;  ///< hard limit of memory (v1 limit_in_bytes, v2 max)
  std::optional<std::uint64_t> pids;          ///< processes and threads
  std::optional<std::uint32_t> cpu_weight;    ///< v2 scale, 1..10000, 100 = normal
  std::optional<std::uint32_t> cpu_quota_permille;  ///< of one core; 2000 = two cores; 0 = none
};

}  // namespace panal
