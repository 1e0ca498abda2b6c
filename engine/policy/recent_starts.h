#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "engine/model/snapshot.h"

namespace panal::policy {

/// Desktops that started lately have not taken yet what they will. In the end at least that is
/// used which was used before them, and what each of them takes: nobody is to be let in on room
/// that is spoken for.
class RecentStarts {
 public:
  /// By then a session's programs are up.
  static constexpr MonotonicNs kGrowNs = 30LL * 1'000'000'000;

  void started(MonotonicNs at_ns) { starts_.push_back(at_ns); }
  /// What is used of each resource at this moment, in the same order at every call.
  void saw(MonotonicNs at_ns, std::vector<double> used);
  /// What will be used of a resource of which one desktop takes `each`; what is used now where
  /// nothing started. `index`: below the number of those seen last.
  [[nodiscard]] double expected(std::size_t index, double each) const;

 private:
  struct Look {
    MonotonicNs at_ns = 0;
    std::vector<double> used;
  };

  std::deque<MonotonicNs> starts_;  ///< within kGrowNs, oldest first
  std::deque<Look> looks_;          ///< within kGrowNs, a second apart, oldest first
  std::vector<double> now_;
};

}  // namespace panal::policy
