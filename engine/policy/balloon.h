#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/model/decision.h"
#include "engine/model/session.h"
#include "engine/model/snapshot.h"

namespace panal::policy {

struct BalloonGuest {
  DesktopId id = 0;
  SessionClass session = SessionClass::kActive;
  std::uint64_t memory_bytes = 0;     ///< with an empty balloon
  std::uint64_t balloon_bytes = 0;    ///< what the balloon holds now, not what it was told
  std::uint64_t available_bytes = 0;  ///< MemAvailable inside
  std::uint64_t swap_in_pages = 0;    ///< since the guest booted
  std::uint64_t swap_out_pages = 0;
  MonotonicNs told_at_ns = 0;  ///< when the guest gave these numbers
};

struct BalloonInput {
  MonotonicNs at_ns = 0;
  std::uint64_t host_available_bytes = 0;
  std::uint64_t host_reserve_bytes = 0;
  std::vector<BalloonGuest> guests;
};

/// Shares what is free between the host and its guests.
///
/// Everybody's margin is what it has available above its floor; the sum of all margins is dealt
/// out by weight: host and active guests alike, idle ones a quarter, disconnected ones nothing.
/// A guest's floor is learned: it covers the sharpest rise of demand seen between two looks, jumps
/// up when the guest swaps, and sinks while it does well near it. A guest whose available memory
/// falls below half its floor, or that swaps, gets memory before anybody, out of the host's
/// reserve if it must be. Moves inside the dead zone are not made: each costs exits and flushes.
class Balloon {
 public:
  /// A decision for each guest whose balloon should move, in the order of `input.guests`.
  [[nodiscard]] std::vector<BalloonDecision> decide(const BalloonInput& input);

  /// What the guest is left, in bytes; 0 for an unknown one.
  [[nodiscard]] std::uint64_t floor_bytes(DesktopId id) const;

 private:
  struct State {
    bool seen = false;
    BalloonGuest last;
    double floor = 0;
    double sharpest_rise = 0;       ///< bytes of demand between two looks
    MonotonicNs hold_until_ns = 0;  ///< no inflation before
    MonotonicNs backoff_ns = 0;
    MonotonicNs at_ns = 0;
    bool in_trouble = false;
  };

  void learn(State& state, const BalloonGuest& guest, MonotonicNs now_ns) const;

  std::unordered_map<DesktopId, State> states_;
};

}  // namespace panal::policy
