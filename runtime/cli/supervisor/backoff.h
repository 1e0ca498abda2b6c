#pragma once

#include <algorithm>
#include <chrono>

namespace panal::supervisor {

/// How long to wait before a service is started again: half a second at first, then twice as long
/// each time up to 30 s; one that ran for ten seconds begins anew, so that a lone death in a good
/// life costs its users half a second.
class Backoff {
 public:
  using Duration = std::chrono::milliseconds;

  [[nodiscard]] Duration after_death(Duration ran) {
    if (ran >= Duration(10'000)) deaths_ = 0;
    ++deaths_;
    const int doublings = std::min(deaths_ - 1, 6);
    return std::min(Duration(500) * (1 << doublings), Duration(30'000));
  }
  /// In a row.
  [[nodiscard]] int deaths() const { return deaths_; }

 private:
  int deaths_ = 0;
};

}  // namespace panal::supervisor
