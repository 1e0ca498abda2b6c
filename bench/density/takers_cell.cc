#include "bench/density/takers_cell.h"

#include <sys/uio.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "engine/kernel/group_processes.h"
#include "engine/kernel/page_map.h"
#include "engine/kernel/smaps.h"
#include "engine/kernel/zram.h"
#include "engine/kernel/zram_swap.h"
#include "runtime/optimiser/ksmd.h"
#include "runtime/optimiser/memory_taker.h"

namespace panal::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kZramBytes = std::uint64_t{8} << 30U;
constexpr std::uint64_t kPageSize = 4096;
/// ksmd does nothing else: a pass over some GiB is seconds.
constexpr std::uint32_t kPagesToScan = 20'000;
constexpr std::uint32_t kMergeSleepMs = 10;
/// A page is merged in the second pass that meets it unchanged; and one that is told at its end.
constexpr std::uint64_t kPasses = 3;
constexpr seconds kMergePatience{300};
/// Steps that bring less are the end of what can be taken.
constexpr std::uint64_t kLeastYield = 256 << 10;
constexpr int kMostSteps = 8;

double as_real(std::uint64_t value) { return static_cast<double>(value); }

Clock::time_point soon() { return Clock::now() + seconds(60); }

/// Reads a byte of each page of another process; what is out comes back as if it had read it.
Result<void> read_pages(pid_t pid, const std::vector<kernel::AddressRange>& ranges) {
  constexpr std::size_t kBatch = 512;
  std::vector<iovec> there;
  std::vector<char> bytes(kBatch);
  const auto flush = [&]() -> Result<void> {
    if (there.empty()) return {};
    const iovec here{bytes.data(), there.size()};
    const ssize_t got = ::process_vm_readv(pid, &here, 1, there.data(), there.size(), 0);
    there.clear();
    // A page that went away meanwhile ends the batch; what is behind it stays out.
    if (got < 0 && errno != EFAULT) return fail_errno("read memory of", std::to_string(pid));
    return {};
  };
  for (const kernel::AddressRange& range : ranges) {
    for (std::uint64_t at = range.start; at < range.start + range.bytes; at += kPageSize) {
      there.push_back({reinterpret_cast<void*>(at), 1});  // NOLINT: of another process
      if (there.size() == kBatch) PANAL_TRY(flush());
    }
  }
  return flush();
}

Result<void> read_what_is_out(const Tree& tree, pid_t pid) {
  PANAL_ASSIGN(const kernel::SmapsWalk walk, kernel::walk_smaps(tree, pid, {soon()}));
  std::vector<kernel::AddressRange> ranges;
  for (const kernel::MemoryMapping& mapping : walk.mappings)
    if (mapping.swap > 0) ranges.push_back({mapping.start, mapping.bytes});
  PANAL_ASSIGN(const kernel::PageMap map,
               kernel::read_page_map(tree, pid, ranges, {.deadline = soon(), .pages = 16 << 20}));
  return read_pages(pid, map.swapped);
}

Result<void> set_ksm(const Tree& tree, KsmRun run) {
  PANAL_ASSIGN(KsmSettings settings, kernel::read_ksm_settings(tree));
  settings.advisor = KsmAdvisor::kNone;
  settings.pages_to_scan = kPagesToScan;
  settings.sleep_ms = kMergeSleepMs;
  // Each pass looks at each page: what is to be seen does not depend on what was before.
  settings.smart_scan = false;
  settings.run = run;
  return kernel::write_ksm_settings(tree, settings);
}

}  // namespace

Result<TakersBench> TakersBench::make(const Tree& tree, const TakersSubject& subject) {
  PANAL_ASSIGN(const KsmSettings former, kernel::read_ksm_settings(tree));
  PANAL_ASSIGN(const unsigned device, kernel::find_free_zram(tree));
  TakersBench one(tree, subject, device);
  one.ksmd_ = optimiser::find_ksmd(tree);
  one.former_ = former;
  PANAL_TRY(one.bring_back());
  return one;
}

TakersBench::TakersBench(TakersBench&& other) noexcept
    : tree_(other.tree_),
      subject_(other.subject_),
      device_(std::exchange(other.device_, std::nullopt)),
      ksmd_(std::move(other.ksmd_)),
      former_(other.former_) {}

TakersBench::~TakersBench() {
  if (!device_) return;
  // The lab puts back what these leave, and says so.
  (void)kernel::stop_zram_swap(tree_, *device_);
  for (const KsmRun run : {KsmRun::kUnmerging, KsmRun::kStopped}) (void)set_ksm(tree_, run);
  (void)kernel::write_ksm_settings(tree_, former_);
}

Result<void> TakersBench::bring_back() const {
  PANAL_TRY(kernel::stop_zram_swap(tree_, *device_));
  for (const KsmRun run : {KsmRun::kStopped, KsmRun::kUnmerging, KsmRun::kStopped})
    PANAL_TRY(set_ksm(tree_, run));
  return kernel::start_zram_swap(tree_, *device_,
                                 {.disk_bytes = kZramBytes, .algorithm = "lzo-rle"});
}

Result<double> TakersBench::zram_bytes() const {
  PANAL_ASSIGN(const ZramStatistics zram, kernel::read_zram(tree_));
  return as_real(zram.used);
}

Result<double> TakersBench::cost() const {
  PANAL_ASSIGN(double sum, zram_bytes());
  for (const kernel::Cgroup& group : subject_.groups()) {
    PANAL_ASSIGN(const std::uint64_t charge, group.memory_usage());
    sum += as_real(charge);
  }
  return sum;
}

Result<double> TakersBench::refaulted_pages() const {
  double sum = 0;
  for (const kernel::Cgroup& group : subject_.groups()) {
    PANAL_ASSIGN(const GroupUsage usage, group.statistics());
    if (usage.memory) sum += as_real(usage.memory->refault_anon_pages);
  }
  return sum;
}

Result<void> TakersBench::merge(TakersCell& cell) const {
  const auto cpu_ns = [this]() -> double {
    if (!ksmd_) return 0;
    const auto spent = ksmd_->cpu_ns();
    return spent ? as_real(*spent) : 0;
  };
  const double cpu_before = cpu_ns();
  PANAL_ASSIGN(KsmCounters counters, kernel::read_ksm_counters(tree_));
  const std::uint64_t enough = counters.full_scans_total + kPasses;
  const auto until = Clock::now() + kMergePatience;
  PANAL_TRY(set_ksm(tree_, KsmRun::kRunning));
  while (counters.full_scans_total < enough && Clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(100));
    PANAL_ASSIGN(counters, kernel::read_ksm_counters(tree_));
  }
  // What is merged stays so.
  PANAL_TRY(set_ksm(tree_, KsmRun::kStopped));
  cell.ksmd_cpu_ms += (cpu_ns() - cpu_before) / 1e6;
  if (counters.full_scans_total < enough)
    return fail(ETIMEDOUT, "ksmd did not get through all memory in five minutes");
  return {};
}

Result<void> TakersBench::take(TakersCell& cell) const {
  const auto taker = optimiser::make_taker(cell.way, tree_);
  if (!taker) return fail(EINVAL, "there is no way \"" + cell.way + "\": reclaim, madvise, poke");
  for (const kernel::Cgroup& group : subject_.groups()) {
    optimiser::TakeCursor cursor;
    for (int step = 0; step < kMostSteps; ++step) {
      PANAL_ASSIGN(const std::uint64_t has, group.memory_usage());
      PANAL_ASSIGN(
          const optimiser::Taken taken,
          taker->take(group, {std::max(has, kPageSize), Clock::now() + seconds(20)}, cursor));
      cell.take_cpu_ms += as_real(taken.cpu_ns) / 1e6;
      cell.yield += as_real(taken.yield_bytes());
      if (taken.yield_bytes() < kLeastYield) break;
    }
    PANAL_ASSIGN(const std::vector<pid_t> pids, group.pids());
    PANAL_ASSIGN(const kernel::GroupProcessesRead read,
                 kernel::read_group_processes(tree_, pids, {soon()}));
    cell.smaps_out += as_real(read.sum.maps.swap);
  }
  PANAL_ASSIGN(cell.zram, zram_bytes());
  return {};
}

Result<void> TakersBench::touch(TakersCell& cell) const {
  PANAL_ASSIGN(const double before, refaulted_pages());
  const auto begun = Clock::now();
  for (const kernel::Cgroup& group : subject_.groups()) {
    PANAL_ASSIGN(const std::vector<pid_t> pids, group.pids());
    for (const pid_t pid : pids)
      if (const auto read = read_what_is_out(tree_, pid); !read && !read.error().is_gone())
        return tl::make_unexpected(read.error());
  }
  cell.touch_ms = seconds_since(begun) * 1000;
  PANAL_ASSIGN(const double after, refaulted_pages());
  cell.refaulted_pages = after - before;
  PANAL_ASSIGN(cell.cost_touched, cost());
  return {};
}

Result<TakersCell> TakersBench::run(const std::string& way, TakersOrder order) const {
  TakersCell cell;
  cell.way = way;
  cell.order = order;
  PANAL_TRY(bring_back());
  PANAL_ASSIGN(cell.cost_before, cost());
  if (order == TakersOrder::kMergedFirst) PANAL_TRY(merge(cell));
  PANAL_TRY(take(cell));
  if (order == TakersOrder::kTakenFirst) PANAL_TRY(merge(cell));
  PANAL_ASSIGN(cell.cost_after, cost());
  PANAL_ASSIGN(const KsmCounters counters, kernel::read_ksm_counters(tree_));
  cell.merged = static_cast<double>(counters.general_profit_bytes);
  PANAL_TRY(touch(cell));
  PANAL_TRY(subject_.check());
  return cell;
}

}  // namespace panal::bench
