#include "engine/policy/start_gate.h"

#include <algorithm>
#include <cmath>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

constexpr double kLeastWindow = 1;
/// A start is some ten system calls that serialise in the kernel (network namespaces, cgroups);
/// more at once only queue there.
constexpr double kMostWindow = 64;
/// Too short a look says nothing: PSI's own resolution is some milliseconds.
constexpr double kShortestLook = 0.05;

double share(const std::optional<Pressure>& before, const std::optional<Pressure>& now, bool full,
             double elapsed) {
  if (!before || !now) return 0;
  if (full && (!before->full || !now->full)) return 0;
  const std::uint64_t from = full ? before->full->total_us : before->some.total_us;
  const std::uint64_t to = full ? now->full->total_us : now->some.total_us;
  // No more than all of it, however the two clocks were read.
  return std::min(1.0, real(grown(from, to)) / 1e6 / elapsed);
}

}  // namespace

std::string_view to_string(GateReason reason) {
  switch (reason) {
    case GateReason::kOpen: return "open";
    case GateReason::kWindowFull: return "window_full";
    case GateReason::kMemory: return "memory";
    case GateReason::kStalls: return "stalls";
  }
  return "open";
}

void StartGate::ended(MonotonicNs took_ns) {
  ++ended_;
  start_seconds_ += 0.2 * (std::clamp(seconds(took_ns), 0.01, 60.0) - start_seconds_);
}

std::optional<GateStall> StartGate::stalls(const StartGateInput& input) const {
  const double elapsed = seconds(input.at_ns - last_ns_);
  if (!seen_ || elapsed < kShortestLook) return stall_;
  const PressureSet& now = input.pressure;
  const GateStall all[] = {
      {false, "memory", share(last_.memory, now.memory, false, elapsed), config_.memory_some},
      {true, "memory", share(last_.memory, now.memory, true, elapsed), config_.memory_full},
      {false, "the disk", share(last_.io, now.io, false, elapsed), config_.io_some},
      {true, "the disk", share(last_.io, now.io, true, elapsed), config_.io_full}};
  for (const GateStall& one : all)
    if (one.share > one.most) return one;
  return std::nullopt;
}

bool StartGate::crowded(const StartGateInput& input) const {
  const double elapsed = seconds(input.at_ns - last_ns_);
  if (!seen_ || elapsed < kShortestLook) return crowded_;
  return share(last_.cpu, input.pressure.cpu, false, elapsed) > config_.cpu_some;
}

StartGateDecision StartGate::decide(const StartGateInput& input) {
  stall_ = stalls(input);
  crowded_ = crowded(input);
  if (!seen_ || seconds(input.at_ns - last_ns_) >= kShortestLook) {
    seen_ = true;
    last_ns_ = input.at_ns;
    last_ = input.pressure;
  }
  const bool queues = input.run_queue > config_.runnable_per_core * std::max(1U, input.cores);
  const bool distress = stall_.has_value() || crowded_ || queues;
  if (distress && input.in_flight + ended_ > 0) {
    if (input.at_ns >= calm_after_ns_) {
      window_ /= 2;
      slow_start_ = false;
      // what the cut changed is seen when those that run now have ended
      calm_after_ns_ = input.at_ns + static_cast<MonotonicNs>(start_seconds_ * 1e9);
    }
  } else if (!distress) {
    // Only a window that was used says that a larger one would do.
    const bool used = input.in_flight + ended_ >= static_cast<std::uint32_t>(window_);
    if (used) window_ += slow_start_ ? ended_ : ended_ / window_;
  }
  ended_ = 0;
  window_ = std::clamp(window_, kLeastWindow, kMostWindow);

  StartGateDecision decision;
  decision.window = static_cast<std::uint32_t>(window_);
  // Of what those in flight will take nothing can be seen yet.
  const double free = real(less(input.available_bytes, input.reserve_bytes)) -
                      real(input.start_bytes) * input.in_flight;
  const double each = std::max(1.0, real(input.start_bytes));
  const double by_memory = std::clamp(std::floor(free / each), 0.0, kMostWindow);
  const double by_window = std::max(0.0, std::floor(window_) - input.in_flight);
  decision.may_start = static_cast<std::uint32_t>(std::min(by_memory, by_window));
  // With none running, only the lack of memory keeps the last door shut.
  if (stall_ && input.in_flight > 0) {
    decision.may_start = 0;
    decision.reason = GateReason::kStalls;
  } else if (decision.may_start == 0) {
    decision.reason = by_memory < 1 ? GateReason::kMemory : GateReason::kWindowFull;
  }
  return decision;
}

}  // namespace panal::policy
