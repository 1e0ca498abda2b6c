#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/base/tree.h"
#include "engine/model/ids.h"
#include "engine/model/snapshot.h"

namespace panal::node {

/// What desktops truly cost: smaps_rollup and ksm_stat of all their processes, which are walks of
/// page tables (some 10 ms for an XFCE desktop) under a lock that the processes want too. So only
/// while somebody asks, one desktop after the other, those first that were not looked at for
/// longest, on a thread of its own that rests three times as long as it works.
///
/// All calls are for any thread; none waits for the kernel.
class CostMeter {
 public:
  struct Parts {
    const Tree& tree;  ///< must outlive it
    /// Of a desktop; none: it is gone. Called on the meter's thread.
    std::function<std::vector<pid_t>(DesktopId)> processes;
    std::chrono::milliseconds slice{20};       ///< of work between two rests
    std::chrono::milliseconds rest{60};        ///< between two slices
    std::chrono::milliseconds interest{6000};  ///< how long it goes on after ask()
    std::chrono::milliseconds fresh{5000};     ///< as old at least before it is looked at again
  };
  /// Processes of one desktop; a fork bomb's cost is in its group's charge.
  static constexpr std::size_t kMostProcesses = 512;

  explicit CostMeter(Parts parts) : parts_(std::move(parts)) {}
  ~CostMeter();
  CostMeter(const CostMeter&) = delete;
  CostMeter& operator=(const CostMeter&) = delete;

  /// Somebody wants to know of all that run: goes on for a while, and forgets the others.
  void ask(const std::vector<DesktopId>& running);

  struct Cost {
    GroupProcesses sum;  ///< without its time
    std::chrono::steady_clock::time_point at;
  };
  /// As of the last look; nothing: there was none yet.
  [[nodiscard]] std::optional<Cost> cost(DesktopId id) const;

 private:
  struct Entry {
    std::optional<Cost> cost;
    std::chrono::steady_clock::time_point tried = std::chrono::steady_clock::time_point::min();
  };

  void loop();
  /// The one that is due next; nothing: none is, or nobody asks any more.
  [[nodiscard]] std::optional<DesktopId> next(std::chrono::steady_clock::time_point now) const;
  /// Nothing: it cannot be read, or the meter is to end.
  [[nodiscard]] std::optional<Cost> look(DesktopId id);
  /// False: it is to end.
  [[nodiscard]] bool pause();

  Parts parts_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  std::chrono::steady_clock::time_point until_{};  ///< somebody asks
  std::map<DesktopId, Entry> costs_;               ///< of those that run
  std::thread thread_;                             ///< from the first ask() on
};

}  // namespace panal::node
