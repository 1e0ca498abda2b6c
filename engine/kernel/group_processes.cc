#include "engine/kernel/group_processes.h"

#include "engine/kernel/ksm.h"
#include "engine/kernel/smaps.h"

namespace panal::kernel {

Result<GroupProcessesRead> read_group_processes(const Tree& tree, std::span<const pid_t> pids,
                                                const GroupProcessesBudget& budget) {
  GroupProcessesRead read;
  for (read.next = budget.first; read.next < pids.size(); ++read.next) {
    if (std::chrono::steady_clock::now() >= budget.deadline) return read;
    auto maps = read_smaps_rollup(tree, pids[read.next]);
    if (!maps && maps.error().is_gone()) continue;
    if (!maps) return tl::make_unexpected(std::move(maps.error()));
    ++read.sum.processes;
    add(read.sum.maps, *maps);
    const auto ksm = read_ksm_process(tree, pids[read.next]);
    if (!ksm && ksm.error().is_gone()) continue;  // ended, or a kernel without
    if (!ksm) return tl::make_unexpected(ksm.error());
    add(read.sum.ksm, *ksm);
  }
  return read;
}

}  // namespace panal::kernel
