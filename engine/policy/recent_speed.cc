#include "engine/policy/recent_speed.h"

#include <algorithm>
#include <cmath>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

/// For how many CPU seconds the first assumption counts: some fifty walks over a desktop.
constexpr double kAssumedSeconds = 1;

}  // namespace

/// The part of the sums that still counts.
double RecentSpeed::left_of(MonotonicNs at_ns) const {
  return std::exp2(-seconds(std::max<MonotonicNs>(0, at_ns - at_ns_)) / seconds(kHalfLife));
}

void RecentSpeed::add(double bytes, double cpu_seconds, MonotonicNs at_ns) {
  const double left = left_of(at_ns);
  bytes_ = bytes_ * left + std::max(0.0, bytes);
  cpu_seconds_ = cpu_seconds_ * left + std::max(0.0, cpu_seconds);
  at_ns_ = std::max(at_ns_, at_ns);
}

double RecentSpeed::bytes_per_cpu_second(MonotonicNs at_ns) const {
  const double left = left_of(at_ns);
  return (bytes_ * left + first_ * kAssumedSeconds) / (cpu_seconds_ * left + kAssumedSeconds);
}

}  // namespace panal::policy
