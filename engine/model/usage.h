#pragma once

#include <cstdint>

namespace panal {

/// CPU time of all cores together since boot, in nanoseconds (the kernel counts ticks of 10 ms).
struct CpuTimes {
  std::uint64_t user_ns = 0;
  std::uint64_t nice_ns = 0;
  std::uint64_t system_ns = 0;
  std::uint64_t idle_ns = 0;
  std::uint64_t iowait_ns = 0;
  std::uint64_t irq_ns = 0;
  std::uint64_t softirq_ns = 0;
  std::uint64_t steal_ns = 0;  ///< taken by the hypervisor
  std::uint32_t cores = 0;     ///< online

  [[nodiscard]] bool operator==(const CpuTimes&) const = default;
};

/// CPU time of a group and those below it since it was made.
struct GroupCpu {
  std::uint64_t usage_ns = 0;
  std::uint64_t throttled_ns = 0;       ///< held back by its quota
  std::uint64_t throttled_periods = 0;  ///< of 100 ms

  [[nodiscard]] bool operator==(const GroupCpu&) const = default;
};

/// I/O of a group and those below it since it was made, the sum over all devices. v1 does not
/// attribute what is written back from the page cache.
struct IoStatistics {
  std::uint64_t read_bytes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t reads = 0;  ///< operations
  std::uint64_t writes = 0;

  [[nodiscard]] bool operator==(const IoStatistics&) const = default;
};

}  // namespace panal
