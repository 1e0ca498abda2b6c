#pragma once

#include <chrono>
#include <cstdint>

#include "engine/model/snapshot.h"

namespace panal::optimiser {

/// Whether somebody watches without touching anything: a film, a call. Then bytes flow to the
/// client all the time, where a clock that is painted anew, a slide that changes or a message that
/// pops up are over within one report of the broker's.
class Watching {
 public:
  /// So long it must flow before it counts: more than one report's time (10 s).
  static constexpr std::chrono::seconds kLeast{15};
  /// Reports this near to each other are of one flow.
  static constexpr std::chrono::seconds kGap{25};
  /// After the last one; a film that stutters is still watched.
  static constexpr std::chrono::seconds kHold{30};

  /// `bytes` went to the client in the time `over` before `now_ns`. Less than `least_per_second`
  /// bytes, or 0 for it: nothing was seen.
  void flowed(std::uint64_t bytes, std::chrono::milliseconds over, std::uint64_t least_per_second,
              MonotonicNs now_ns);
  [[nodiscard]] bool now(MonotonicNs now_ns) const;

 private:
  MonotonicNs since_ns_ = 0;
  MonotonicNs last_ns_ = 0;  ///< 0: never
};

}  // namespace panal::optimiser
