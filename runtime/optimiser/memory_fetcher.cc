#include "runtime/optimiser/memory_fetcher.h"

#include "engine/base/pidfd.h"
#include "engine/kernel/process_memory.h"
#include "engine/kernel/smaps.h"
#include "runtime/optimiser/desktop_processes.h"
#include "runtime/optimiser/memory_taker.h"

namespace panal::optimiser {
namespace {

Result<void> fetch_process(const Tree& tree, const kernel::Cgroup& group, pid_t pid,
                           const FetchBudget& budget, Fetched& fetched) {
  PANAL_ASSIGN(const Pidfd held, hold_process_of(tree, group, pid));
  PANAL_ASSIGN(const kernel::SmapsWalk walk, kernel::walk_smaps(tree, pid, {budget.deadline}));
  for (const kernel::MemoryMapping& mapping : walk.mappings) {
    if (mapping.swap == 0) continue;
    if (budget.over()) return {};
    const kernel::AddressRange range[] = {{mapping.start, mapping.bytes}};
    PANAL_ASSIGN(
        const kernel::AdviceProgress progress,
        kernel::advise_process(held, range, kernel::MemoryAdvice::kWillNeed, {budget.deadline}));
    if (progress.complete) fetched.bytes += mapping.swap;
  }
  return {};
}

}  // namespace

Result<Fetched> fetch_back(const Tree& tree, const kernel::Cgroup& group, FetchPart part,
                           const FetchBudget& budget) {
  const std::uint64_t begun = thread_cpu_ns();
  Fetched fetched;
  PANAL_ASSIGN(const std::vector<pid_t> pids, group.pids());
  for (const pid_t pid : pids) {
    if (budget.over()) break;
    if (draws(tree, pid) != (part == FetchPart::kDisplay)) continue;
    if (auto done = fetch_process(tree, group, pid, budget, fetched);
        !done && !done.error().is_gone())
      return tl::make_unexpected(std::move(done.error()));
  }
  fetched.complete = !budget.over();
  fetched.cpu_ns = thread_cpu_ns() - begun;
  return fetched;
}

}  // namespace panal::optimiser
