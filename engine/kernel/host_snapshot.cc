#include "engine/kernel/host_snapshot.h"

#include <chrono>

#include "engine/kernel/cpu_times.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/psi.h"
#include "engine/kernel/swaps.h"
#include "engine/kernel/vmstat.h"
#include "engine/kernel/zram.h"

namespace panal::kernel {

Result<Snapshot> read_host_snapshot(const Tree& tree, const Ksmd* ksmd) {
  Snapshot host;
  host.at_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                   std::chrono::steady_clock::now().time_since_epoch())
                   .count();
  PANAL_ASSIGN(host.memory, read_meminfo(tree));
  PANAL_ASSIGN(host.vm, read_vmstat(tree));
  PANAL_ASSIGN(host.cpu, read_cpu_times(tree));
  PANAL_ASSIGN(host.pressure, read_host_pressures(tree));
  PANAL_ASSIGN(host.swaps, read_swaps(tree));
  PANAL_ASSIGN(host.zram, read_zram(tree));
  auto counters = read_ksm_counters(tree);
  if (!counters && counters.error().code == ENOENT) return host;  // a kernel without KSM
  if (!counters) return tl::make_unexpected(std::move(counters.error()));
  host.ksm = *counters;
  PANAL_ASSIGN(host.ksm_settings, read_ksm_settings(tree));
  if (ksmd == nullptr) return host;
  auto used = ksmd->cpu_ns();
  if (!used && !used.error().is_gone()) return tl::make_unexpected(std::move(used.error()));
  if (used) host.ksm->ksmd_cpu_ns = *used;
  return host;
}

}  // namespace panal::kernel
