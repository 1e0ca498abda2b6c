#include "runtime/optimiser/watching.h"

#include <algorithm>

#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {
namespace {

std::chrono::nanoseconds between(MonotonicNs before, MonotonicNs after) {
  return std::chrono::nanoseconds{after - before};
}

}  // namespace

void Watching::flowed(std::uint64_t bytes, std::chrono::milliseconds over,
                      std::uint64_t least_per_second, MonotonicNs now_ns) {
  if (least_per_second == 0 || over.count() <= 0) return;
  const double per_second = static_cast<double>(bytes) * 1000 / static_cast<double>(over.count());
  if (per_second < static_cast<double>(least_per_second)) return;
  // What one report says of a long time says nothing of how it was spread over it.
  const std::chrono::nanoseconds seen = std::min<std::chrono::nanoseconds>(over, kLeast / 2);
  if (last_ns_ == 0 || between(last_ns_, now_ns) > kGap) since_ns_ = now_ns - seen.count();
  last_ns_ = now_ns;
}

bool Watching::now(MonotonicNs now_ns) const {
  return last_ns_ != 0 && between(since_ns_, last_ns_) >= kLeast &&
         between(last_ns_, now_ns) < kHold;
}

void Optimiser::flowed(DesktopId id, std::uint64_t bytes, std::chrono::milliseconds over) {
  const std::lock_guard lock(mutex_);
  const auto found = desks_.find(id);
  if (found == desks_.end() || !found->second->session.connected) return;
  Desk& desk = *found->second;
  const MonotonicNs now_ns = monotonic_ns();
  desk.watching.flowed(bytes, over, settings_.active_bytes_per_second, now_ns);
  // Whoever takes its memory stops now, not at the next look.
  if (desk.watching.now(now_ns)) desk.wanted = true;
}

}  // namespace panal::optimiser
