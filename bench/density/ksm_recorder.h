#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "bench/density/ksm_evaluation.h"
#include "engine/base/tree.h"
#include "engine/kernel/ksm.h"

namespace panal::bench {

/// Writes down what KSM has won and spent, once a second, from the moment it is made on.
class KsmRecorder {
 public:
  /// Called twice a second on the recorder's thread, with the seconds since it began.
  using Tick = std::function<Result<void>(double seconds)>;

  /// `tree` must outlive it. Errors: ENOENT where ksmd's CPU time cannot be seen, those of the
  /// first look.
  [[nodiscard]] static Result<std::unique_ptr<KsmRecorder>> start(const Tree& tree, Tick tick);
  ~KsmRecorder();
  KsmRecorder(const KsmRecorder&) = delete;
  KsmRecorder& operator=(const KsmRecorder&) = delete;

  /// Seconds since it began.
  [[nodiscard]] double now() const;
  [[nodiscard]] KsmPoint last() const;
  /// Stops; all points, their seconds counted from `origin_seconds`. Errors: the first one of a
  /// look or of a tick.
  [[nodiscard]] Result<std::vector<KsmPoint>> end(double origin_seconds);

 private:
  KsmRecorder(const Tree& tree, kernel::Ksmd ksmd, Tick tick);
  [[nodiscard]] Result<KsmPoint> look() const;
  [[nodiscard]] Result<void> work();
  void run();

  const Tree& tree_;
  kernel::Ksmd ksmd_;
  Tick tick_;
  std::chrono::steady_clock::time_point began_;
  KsmPoint first_;  ///< counters as they were then
  mutable std::mutex mutex_;
  std::vector<KsmPoint> points_;
  Result<void> outcome_;
  std::atomic<bool> ending_{false};
  std::thread thread_;  ///< last: it uses all of the above
};

}  // namespace panal::bench
