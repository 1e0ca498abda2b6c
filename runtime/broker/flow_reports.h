#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/broker/node.h"
#include "runtime/loop/loop.h"

namespace panal::broker {

using FlowPtr = std::shared_ptr<Flow>;

/// Tells panald how much goes to the clients of this worker: who watches a film touches nothing,
/// and is not idle for it. One message for all sessions, at most every `every`, and none while
/// nothing of note flows: an idle node is not woken for it. What a lost message said is lost: the
/// next one comes soon enough.
class FlowReports {
 public:
  /// Less a second is not told: blinking cursors, clocks.
  static constexpr std::uint64_t kLeastPerSecond = 1024;
  /// In one message; those that are beyond it are not told this time.
  static constexpr std::size_t kMostSessions = 2000;

  /// All outlive it. `every` is read when a time begins.
  FlowReports(loop::Loop& loop, NodePort& node, const std::chrono::milliseconds& every)
      : node_(node), every_(every), timer_(loop) {}

  /// More was carried.
  void add(const FlowPtr& flow, std::uint64_t bytes) {
    if (bytes == 0) return;
    if (flow->bytes == 0) moved(flow);
    flow->bytes += bytes;
  }

 private:
  using Clock = std::chrono::steady_clock;
  void moved(const FlowPtr& flow);
  void report();

  NodePort& node_;
  const std::chrono::milliseconds& every_;
  loop::Timer timer_;
  std::vector<FlowPtr> moved_;  ///< since the last report
  Clock::time_point since_;
  std::unique_ptr<NodeCall> call_;  ///< a connection that is kept
  bool telling_ = false;
};

}  // namespace panal::broker
