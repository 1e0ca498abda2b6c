#include "runtime/optimiser/swap_cache.h"

#include <algorithm>
#include <thread>

namespace panal::optimiser {
namespace {

/// Pages that are written go to where reclaim begins when the disk is done with them. Before that
/// it would take others, and wait.
constexpr std::chrono::milliseconds kForTheDisk{10};

}  // namespace

Result<std::uint64_t> drop_swap_cache(const kernel::Cgroup& group, const TakeRequest& request) {
  // A call cannot be ended early, so many small ones.
  constexpr std::uint64_t kStep = 4 << 20;
  PANAL_ASSIGN(const GroupUsage use, group.statistics());
  const std::uint64_t cached = use.memory ? use.memory->unused_swap_cache_bytes() : 0;
  if (cached < kLeastSwapCache || request.stopped()) return std::uint64_t{0};
  std::this_thread::sleep_for(kForTheDisk);
  // As much as there is now and no more: what reclaim takes of others it writes, and that would be
  // in the swap cache next.
  const std::uint64_t wanted = std::min(cached, request.bytes);
  std::uint64_t dropped = 0;
  while (dropped < wanted && !request.stopped()) {
    PANAL_ASSIGN(const kernel::ReclaimResult result,
                 group.reclaim(std::min(kStep, wanted - dropped)));
    dropped += result.yield_bytes();
    // It may say that it found too little and have found some.
    if (result.yield_bytes() == 0) break;
  }
  return dropped;
}

}  // namespace panal::optimiser
