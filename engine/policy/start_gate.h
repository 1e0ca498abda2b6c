#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/model/snapshot.h"

namespace panal::policy {

enum class GateReason : std::uint8_t {
  kOpen,
  kWindowFull,  ///< as many are starting as the host has shown it can
  kMemory,      ///< those that are starting will need what is left
  kStalls,      ///< tasks wait for memory or I/O
};
[[nodiscard]] std::string_view to_string(GateReason reason);

/// What the gate takes for distress. Shares of the time since its last look in which tasks waited
/// (PSI); 1: that one never counts.
struct StartGateConfig {
  double memory_some = 0.05;
  double memory_full = 0.01;
  /// Starting reads the image, so some waiting for I/O is work being done; all tasks waiting is
  /// not.
  double io_some = 1;
  double io_full = 0.20;
  double cpu_some = 1;
  /// Runnable tasks; beyond it a start only makes the others slower.
  double runnable_per_core = 8;
  std::uint32_t first_window = 4;  ///< starts at once before the host has shown anything; 1..64

  [[nodiscard]] bool operator==(const StartGateConfig&) const = default;
};

struct StartGateInput {
  MonotonicNs at_ns = 0;
  PressureSet pressure;  ///< the host's
  double run_queue = 0;  ///< tasks that want a CPU
  std::uint32_t cores = 1;
  std::uint64_t available_bytes = 0;
  std::uint64_t reserve_bytes = 0;
  std::uint64_t start_bytes = 0;  ///< what one more desktop takes (admission's model)
  std::uint32_t in_flight = 0;    ///< starts that run
};

struct StartGateDecision {
  std::uint32_t may_start = 0;  ///< besides those that run
  std::uint32_t window = 1;     ///< starts at once
  GateReason reason = GateReason::kOpen;

  [[nodiscard]] bool operator==(const StartGateDecision&) const = default;
};

/// What tasks wait for, longer than is borne.
struct GateStall {
  bool all = false;           ///< all of them wait at once, not only some
  std::string_view resource;  ///< "memory", "the disk"
  double share = 0;           ///< of the time between the last two looks
  double most = 0;            ///< that is borne
};

/// How many desktops may be starting at once: more while the host bears it, half as many when it
/// shows distress (additive increase, multiplicative decrease, as TCP shares a link). It doubles
/// until the first distress. Without memory for one more nothing starts; else at least one does.
class StartGate {
 public:
  explicit StartGate(const StartGateConfig& config = {})
      : config_(config), window_(config.first_window) {}

  /// Tell each start that ended well or ill, with how long it took.
  void ended(MonotonicNs took_ns);

  /// Call it before each batch of starts, at least once a second while any wait.
  [[nodiscard]] StartGateDecision decide(const StartGateInput& input);
  /// Why the last decision found that the host stalls; nothing: it does not.
  [[nodiscard]] const std::optional<GateStall>& stall() const { return stall_; }

 private:
  [[nodiscard]] std::optional<GateStall> stalls(const StartGateInput& input) const;
  [[nodiscard]] bool crowded(const StartGateInput& input) const;

  StartGateConfig config_;
  double window_;
  bool slow_start_ = true;
  std::uint32_t ended_ = 0;        ///< since the last decision
  double start_seconds_ = 0.5;     ///< a running mean
  MonotonicNs calm_after_ns_ = 0;  ///< one distress halves the window once
  bool seen_ = false;
  MonotonicNs last_ns_ = 0;
  PressureSet last_;
  std::optional<GateStall> stall_;
  bool crowded_ = false;
};

}  // namespace panal::policy
