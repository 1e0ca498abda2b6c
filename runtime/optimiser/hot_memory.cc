#include "runtime/optimiser/hot_memory.h"

#include <algorithm>

#include "engine/kernel/page_map.h"
#include "engine/kernel/process_start.h"
#include "engine/kernel/smaps.h"
#include "runtime/optimiser/desktop_processes.h"
#include "runtime/optimiser/memory_taker.h"

namespace panal::optimiser {
namespace {

struct Look {
  HotProcess process;
  std::uint64_t own_bytes = 0;
  std::uint64_t swapped_bytes = 0;
  bool complete = false;
};

Result<Look> look_at(const Tree& tree, const kernel::Cgroup& group, pid_t pid,
                     const FetchBudget& budget) {
  PANAL_ASSIGN(const Pidfd held, hold_process_of(tree, group, pid));
  Look look{{pid, 0, draws(tree, pid), {}}};
  PANAL_ASSIGN(look.process.started, kernel::read_process_start(tree, pid));
  PANAL_ASSIGN(const kernel::SmapsWalk walk, kernel::walk_smaps(tree, pid, {budget.deadline}));
  std::vector<kernel::AddressRange> mappings;
  for (const kernel::MemoryMapping& mapping : walk.mappings)
    if (!mapping.locked) mappings.push_back({mapping.start, mapping.bytes});
  PANAL_ASSIGN(kernel::PageMap map,
               kernel::read_page_map(tree, pid, mappings, {.deadline = budget.deadline}));
  look.process.ranges = std::move(map.own);
  look.own_bytes = map.own_bytes;
  look.swapped_bytes = map.swapped_bytes;
  look.complete = walk.complete && map.complete;
  return look;
}

/// Joins what is near to each other until it is few enough.
void condense(HotMemory& hot) {
  std::vector<MemoryRange> all;
  for (const HotProcess& process : hot.processes)
    for (const kernel::AddressRange& range : process.ranges)
      all.push_back({process.pid, range.start, range.bytes});
  all = policy::condense_ranges(std::move(all), kMostHotRanges);
  for (HotProcess& process : hot.processes) {
    process.ranges.clear();
    for (const MemoryRange& range : all)
      if (range.pid == process.pid) process.ranges.push_back({range.start, range.bytes});
    process.ranges.shrink_to_fit();
  }
  std::erase_if(hot.processes, [](const HotProcess& process) { return process.ranges.empty(); });
}

}  // namespace

std::size_t HotMemory::ranges() const {
  std::size_t sum = 0;
  for (const HotProcess& process : processes) sum += process.ranges.size();
  return sum;
}

std::uint64_t HotMemory::bytes() const {
  std::uint64_t sum = 0;
  for (const HotProcess& process : processes)
    for (const kernel::AddressRange& range : process.ranges) sum += range.bytes;
  return sum;
}

std::vector<policy::RecordedRange> recorded_ranges(const HotMemory& hot) {
  std::vector<policy::RecordedRange> out;
  out.reserve(hot.ranges());
  for (const HotProcess& process : hot.processes)
    for (const kernel::AddressRange& range : process.ranges)
      out.push_back({{process.pid, range.start, range.bytes}, process.display});
  return out;
}

Result<HotRecord> record_hot(const Tree& tree, const kernel::Cgroup& group,
                             const FetchBudget& budget) {
  const std::uint64_t begun = thread_cpu_ns();
  HotRecord record;
  PANAL_ASSIGN(const std::vector<pid_t> pids, group.pids());
  record.complete = true;
  for (const pid_t pid : pids) {
    if (budget.over()) {
      record.complete = false;
      break;
    }
    auto look = look_at(tree, group, pid, budget);
    if (!look) {
      if (look.error().is_gone()) continue;
      return tl::make_unexpected(std::move(look.error()));
    }
    record.complete = record.complete && look->complete;
    record.hot_bytes += look->own_bytes;
    record.swapped_bytes += look->swapped_bytes;
    if (!look->process.ranges.empty() && record.hot.processes.size() < kMostHotProcesses)
      record.hot.processes.push_back(std::move(look->process));
  }
  std::sort(record.hot.processes.begin(), record.hot.processes.end(),
            [](const HotProcess& a, const HotProcess& b) {
              return a.display != b.display ? a.display : a.pid < b.pid;
            });
  condense(record.hot);
  record.cpu_ns = thread_cpu_ns() - begun;
  return record;
}

Result<Fetched> fetch_ranges(const Tree& tree, const kernel::Cgroup& group, const HotMemory& hot,
                             const std::vector<MemoryRange>& ranges, const FetchBudget& budget) {
  const std::uint64_t begun = thread_cpu_ns();
  Fetched fetched;
  std::vector<kernel::AddressRange> wanted;
  for (auto at = ranges.begin(); at != ranges.end() && !budget.over();) {
    const pid_t pid = at->pid;
    wanted.clear();
    for (; at != ranges.end() && at->pid == pid; ++at) wanted.push_back({at->start, at->bytes});
    const auto process = std::find_if(hot.processes.begin(), hot.processes.end(),
                                      [pid](const HotProcess& one) { return one.pid == pid; });
    if (process == hot.processes.end()) continue;
    const auto held = hold_process_of(tree, group, pid);
    const auto started = kernel::read_process_start(tree, pid);
    if (!held || !started || *started != process->started) continue;
    const auto progress =
        kernel::advise_process(*held, wanted, kernel::MemoryAdvice::kWillNeed, {budget.deadline});
    if (progress) fetched.bytes += progress->advised_bytes;
    if (!progress && !progress.error().is_gone()) return tl::make_unexpected(progress.error());
  }
  fetched.complete = !budget.over();
  fetched.cpu_ns = thread_cpu_ns() - begun;
  return fetched;
}

}  // namespace panal::optimiser
