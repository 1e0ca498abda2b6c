#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/store/store.h"

namespace panal::node {

/// What the reconcile loop does next about one desktop.
enum class Action {
  kNone,
  kStart,           ///< claim it and start it
  kStop,            ///< stop what runs
  kObserveRunning,  ///< it runs, but the store does not know
  kMarkStopped,     ///< the store believes that something runs, but nothing does: clean, say so
};
[[nodiscard]] std::string_view to_string(Action action);

/// `running`: panald holds the desktop's living init. Level-triggered: only what is counts, not
/// how it came to be. A failed desktop is started again only by a new request (generation).
[[nodiscard]] Action decide(const store::Desktop& row, bool running);

/// When a desktop that ended by itself is started again, and when it is given up.
class CrashLimit {
 public:
  using Clock = std::chrono::steady_clock;
  /// A desktop that ends this often within the window is broken, not unlucky.
  static constexpr std::size_t kMost = 3;
  static constexpr std::chrono::minutes kWindow{5};

  /// Notes an end; false: give up.
  [[nodiscard]] bool may_restart(Clock::time_point now);
  void forget() { ends_.clear(); }
  [[nodiscard]] std::size_t ends() const { return ends_.size(); }

 private:
  std::vector<Clock::time_point> ends_;
};

}  // namespace panal::node
