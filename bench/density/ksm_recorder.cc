#include "bench/density/ksm_recorder.h"

#include "engine/kernel/vmstat.h"
#include "runtime/optimiser/ksmd.h"

namespace panal::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Two ticks a second: what changes once a second is never missed.
constexpr milliseconds kTick{500};

double real(std::uint64_t value) { return static_cast<double>(value); }

}  // namespace

KsmRecorder::KsmRecorder(const Tree& tree, kernel::Ksmd ksmd, Tick tick)
    : tree_(tree), ksmd_(std::move(ksmd)), tick_(std::move(tick)), began_(steady_clock::now()) {}

Result<std::unique_ptr<KsmRecorder>> KsmRecorder::start(const Tree& tree, Tick tick) {
  auto ksmd = optimiser::find_ksmd(tree);
  if (!ksmd)
    return fail(ENOENT, std::string("ksmd's CPU time cannot be seen: it is in no process list here "
                                    "and not where ") +
                            optimiser::kKsmdVariable + " says");
  std::unique_ptr<KsmRecorder> one(new KsmRecorder(tree, std::move(*ksmd), std::move(tick)));
  PANAL_ASSIGN(one->first_, one->look());
  one->thread_ = std::thread([self = one.get()] { self->run(); });
  return one;
}

KsmRecorder::~KsmRecorder() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
}

double KsmRecorder::now() const {
  return std::chrono::duration<double>(steady_clock::now() - began_).count();
}

KsmPoint KsmRecorder::last() const {
  const std::lock_guard lock(mutex_);
  return points_.empty() ? KsmPoint{} : points_.back();
}

Result<KsmPoint> KsmRecorder::look() const {
  KsmPoint point;
  point.seconds = now();
  PANAL_ASSIGN(const KsmCounters counters, kernel::read_ksm_counters(tree_));
  PANAL_ASSIGN(const std::uint64_t cpu, ksmd_.cpu_ns());
  PANAL_ASSIGN(const VmCounters vm, kernel::read_vmstat(tree_));
  PANAL_ASSIGN(const KsmSettings settings, kernel::read_ksm_settings(tree_));
  point.profit_bytes = static_cast<double>(counters.general_profit_bytes);
  point.pages_shared = real(counters.pages_shared);
  point.pages_sharing = real(counters.pages_sharing);
  point.ksmd_cpu_seconds = real(cpu) / 1e9 - first_.ksmd_cpu_seconds;
  point.cow_pages = real(vm.cow_ksm) - first_.cow_pages;
  const bool runs = settings.run == KsmRun::kRunning;
  point.pages_to_scan = runs ? settings.pages_to_scan : 0;
  point.sleep_ms = settings.sleep_ms;
  return point;
}

Result<void> KsmRecorder::work() {
  auto due = steady_clock::now();
  for (unsigned ticks = 0; !ending_; ++ticks) {
    if (ticks % 2 == 0) {
      PANAL_ASSIGN(const KsmPoint point, look());
      const std::lock_guard lock(mutex_);
      points_.push_back(point);
    }
    if (tick_) PANAL_TRY(tick_(now()));
    due = std::max(due + kTick, steady_clock::now());
    std::this_thread::sleep_until(due);
  }
  return {};
}

void KsmRecorder::run() {
  auto outcome = work();
  const std::lock_guard lock(mutex_);
  outcome_ = std::move(outcome);
}

Result<std::vector<KsmPoint>> KsmRecorder::end(double origin_seconds) {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  PANAL_TRY(std::move(outcome_));
  for (KsmPoint& point : points_) point.seconds -= origin_seconds;
  return std::move(points_);
}

}  // namespace panal::bench
