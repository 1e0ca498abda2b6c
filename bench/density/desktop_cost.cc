#include "bench/density/desktop_cost.h"

#include <algorithm>

#include "engine/kernel/process_io.h"
#include "engine/model/ids.h"

namespace panal::bench {

Result<DesktopUse> use_of(const Tree& tree, const kernel::CgroupRoot& root, const BenchNode& node,
                          const std::vector<Account>& accounts) {
  DesktopUse out;
  for (const Account& account : accounts) {
    PANAL_ASSIGN(const auto group, kernel::Cgroup::open(root, node.config().cgroup_parent + "/" +
                                                                  kernel_name(account.id)));
    PANAL_ASSIGN(const GroupUsage use, group.statistics());
    const MemoryStatistics memory = use.memory.value_or(MemoryStatistics{});
    out.own_bytes += static_cast<double>(memory.anon_bytes + memory.shmem_bytes);
    out.charged_bytes += static_cast<double>(memory.usage_bytes);
    out.cpu_ns += static_cast<double>(use.cpu.value_or(GroupCpu{}).usage_ns);
    PANAL_ASSIGN(const std::vector<pid_t> pids, group.pids());
    double written = 0;
    for (const pid_t pid : pids) {
      // One that ends meanwhile is counted with who waits for it.
      const auto io = kernel::read_process_io(tree, pid);
      if (!io) continue;
      written += static_cast<double>(io->written_bytes);
      written -= static_cast<double>(io->cancelled_bytes);
    }
    out.written_bytes += std::max(0.0, written);
  }
  return out;
}

}  // namespace panal::bench
