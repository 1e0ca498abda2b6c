#pragma once

#include "engine/model/snapshot.h"

namespace panal::policy {

/// What a CPU second has brought of late, in bytes.
///
/// A mean over all time would be wrong for good after a day of walks that brought nothing. So what
/// was brought and what it took both count half after kHalfLife; and one CPU second at the speed
/// that is assumed at first always counts too. Where nothing happens for long, because so little
/// seemed to be had for so much, the assumed speed comes back by itself and it is tried anew.
class RecentSpeed {
 public:
  /// A walk over a desktop that had nothing to give is forgotten when it is asked again after its
  /// longest rest (Shaver).
  static constexpr MonotonicNs kHalfLife = 10LL * 60 * 1'000'000'000;

  /// `first`: bytes per CPU second, > 0.
  explicit RecentSpeed(double first) : first_(first) {}

  void add(double bytes, double cpu_seconds, MonotonicNs at_ns);
  [[nodiscard]] double bytes_per_cpu_second(MonotonicNs at_ns) const;

 private:
  [[nodiscard]] double left_of(MonotonicNs at_ns) const;

  double first_;
  double bytes_ = 0, cpu_seconds_ = 0;  ///< at at_ns_
  MonotonicNs at_ns_ = 0;
};

}  // namespace panal::policy
