// The hand's thread: what watches over a desktop's container sleeps until that ends.
#include <cerrno>

#include "runtime/optimiser/memory_taker.h"
#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {

namespace {

/// Some 600 KiB in a hundred mappings.
constexpr std::chrono::milliseconds kMonitorPatience{200};
constexpr std::uint64_t kMonitorMost = std::uint64_t{16} << 20;
constexpr std::uint64_t kMonitorLeastMapping = 4096;

}  // namespace

void Optimiser::take_monitor(Desk& desk) {
  if (parts_.monitor_parent.empty() || desk.monitor_taken) return;
  desk.monitor_taken = true;
  auto group =
      kernel::Cgroup::open(parts_.cgroups, parts_.monitor_parent + "/" + kernel_name(desk.id));
  if (!group) return;  // another kind of container has none
  TakeRequest request{kMonitorMost, std::chrono::steady_clock::now() + kMonitorPatience,
                      &desk.wanted};
  request.least_mapping_bytes = kMonitorLeastMapping;
  TakeCursor cursor;
  const auto taken = monitor_taker_->take(*group, request, cursor);
  // Without a memory controller nobody could say what came of it.
  if (!taken && !taken.error().is_gone() && taken.error().code != ENOTSUP)
    complain("take_monitor", taken.error());
  if (!taken) return;
  const std::lock_guard lock(mutex_);
  ++totals_.monitors;
  totals_.monitor_bytes += taken->yield_bytes();
}

}  // namespace panal::optimiser
