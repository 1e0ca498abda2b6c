#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <span>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/snapshot.h"

namespace panal::kernel {

struct GroupProcessesBudget {
  std::chrono::steady_clock::time_point deadline;  ///< looked at between processes
  std::size_t first = 0;                           ///< index to begin at
};

struct GroupProcessesRead {
  GroupProcesses sum;    ///< without the time
  std::size_t next = 0;  ///< index to go on at; pids.size(): all were read
};

/// Adds up smaps_rollup and ksm_stat of processes; those that ended meanwhile are left out. Costs
/// page table walks: for a worker. Errors: EPROTO, EACCES.
[[nodiscard]] Result<GroupProcessesRead> read_group_processes(const Tree& tree,
                                                              std::span<const pid_t> pids,
                                                              const GroupProcessesBudget& budget);

}  // namespace panal::kernel
