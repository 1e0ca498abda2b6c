#include "engine/policy/balloon.h"

#include <algorithm>
#include <cmath>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

/// A floor before anything is known, and the least that is ever left: below, a Linux guest's
/// kernel reclaims all the time.
constexpr double kFirstFloorShare = 0.15;
constexpr double kLeastFloorShare = 0.05;
constexpr double kLeastFloorBytes = 24.0 * kMib;
constexpr double kMostFloorShare = 0.5;
/// The next rise may be sharper than the sharpest yet.
constexpr double kRiseMargin = 1.5;
constexpr double kRiseHalfLifeSeconds = 1800;
/// The floor sinks by 2 % a minute while the guest lives well within half as much again.
constexpr double kSinkPerMinute = 0.02;
constexpr double kNearFloor = 1.5;
constexpr double kJump = 1.25;
/// A guest that swapped is not squeezed again for a minute, then two, and so on.
constexpr MonotonicNs kFirstHold = kMinute;
constexpr MonotonicNs kLongestHold = 30 * kMinute;
/// Taking is slow, as pages must be found; giving back is quick, as somebody waits for it.
constexpr double kInflateShare = 1.0 / 16;
constexpr double kDeflateShare = 1.0 / 4;
constexpr double kDeadZoneShare = 0.01;
constexpr double kDeadZoneBytes = 4.0 * kMib;
/// Numbers older than this say nothing about now.
constexpr MonotonicNs kStale = 10 * kSecond;

double weight_of(SessionClass session) {
  switch (session) {
    case SessionClass::kActive: return 1;
    case SessionClass::kIdle: return 0.25;
    case SessionClass::kDisconnected:
    case SessionClass::kFrozen: return 0;
  }
  return 1;
}

double least_floor(double memory) { return std::max(kLeastFloorBytes, memory * kLeastFloorShare); }

}  // namespace

std::uint64_t Balloon::floor_bytes(DesktopId id) const {
  const auto found = states_.find(id);
  return found == states_.end() ? 0 : whole(found->second.floor);
}

void Balloon::learn(State& state, const BalloonGuest& guest, MonotonicNs now_ns) const {
  const double memory = real(guest.memory_bytes);
  const double available = real(guest.available_bytes);
  if (!state.seen || guest.memory_bytes != state.last.memory_bytes) {
    state = State{};
    state.floor = std::max(least_floor(memory), memory * kFirstFloorShare);
  } else {
    const double elapsed = seconds(now_ns - state.at_ns);
    // Demand is what the guest has less what is available to it; the balloon's moves are not it.
    const double before = real(less(state.last.memory_bytes, state.last.balloon_bytes)) -
                          real(state.last.available_bytes);
    const double demand = real(less(guest.memory_bytes, guest.balloon_bytes)) - available;
    state.sharpest_rise *= std::exp2(-elapsed / kRiseHalfLifeSeconds);
    state.sharpest_rise = std::max(state.sharpest_rise, demand - before);
    state.in_trouble = grown(state.last.swap_out_pages, guest.swap_out_pages) > 0 ||
                       grown(state.last.swap_in_pages, guest.swap_in_pages) > 0;
    if (state.in_trouble) {
      state.floor = std::max(state.floor * kJump, available * kJump);
      if (now_ns >= state.hold_until_ns)
        state.backoff_ns = std::clamp(state.backoff_ns * 2, kFirstHold, kLongestHold);
      state.hold_until_ns = now_ns + state.backoff_ns;
    } else if (available < kNearFloor * state.floor && guest.balloon_bytes > 0) {
      state.floor *= std::pow(1 - kSinkPerMinute, elapsed / 60);
    }
    state.floor = std::max(state.floor, kRiseMargin * state.sharpest_rise);
  }
  state.floor =
      std::clamp(state.floor, std::min(least_floor(memory), memory),
                 std::max(std::min(least_floor(memory), memory), memory * kMostFloorShare));
  state.seen = true;
  state.last = guest;
  state.at_ns = now_ns;
}

std::vector<BalloonDecision> Balloon::decide(const BalloonInput& input) {
  struct Part {
    const BalloonGuest* guest;
    State* state;
    double margin;
    double move;  ///< of the balloon, bytes; negative: the guest gets memory
  };
  std::vector<Part> parts;
  const double host_margin = real(input.host_available_bytes) - real(input.host_reserve_bytes);
  double sum = host_margin;
  double weights = 1;
  for (const BalloonGuest& guest : input.guests) {
    if (input.at_ns - guest.told_at_ns > kStale || guest.memory_bytes == 0) continue;
    State& state = states_[guest.id];
    learn(state, guest, input.at_ns);
    const double margin = real(guest.available_bytes) - state.floor;
    parts.push_back({&guest, &state, margin, 0});
    sum += margin;
    weights += weight_of(guest.session);
  }
  std::erase_if(states_, [&](const auto& entry) {
    return std::none_of(input.guests.begin(), input.guests.end(),
                        [&](const BalloonGuest& guest) { return guest.id == entry.first; });
  });

  double to_give = std::max(0.0, host_margin);
  // In distress the reserve's half may go as well: it is what a reserve is for.
  double for_distress =
      std::max(0.0, real(input.host_available_bytes) - real(input.host_reserve_bytes) / 2);
  for (const bool distress_first : {true, false}) {
    for (Part& part : parts) {
      const double memory = real(part.guest->memory_bytes);
      const bool distress = part.state->in_trouble || part.margin < -part.state->floor / 2;
      if (distress != distress_first) continue;
      const double share = std::max(0.0, sum) * weight_of(part.guest->session) / weights;
      double move = part.margin - share;
      if (distress) move = std::min(move, part.state->in_trouble ? -memory * kInflateShare : move);
      if (move > 0) {
        // never below the floor, whatever the host lacks
        move = std::min({move, part.margin, memory * kInflateShare});
        if (input.at_ns < part.state->hold_until_ns) move = 0;
      } else {
        double& purse = distress ? for_distress : to_give;
        move = -std::min({-move, purse, memory * kDeflateShare, real(part.guest->balloon_bytes)});
        to_give = std::max(0.0, to_give + move);
        for_distress = std::max(0.0, for_distress + move);
      }
      part.move = move;
    }
  }

  std::vector<BalloonDecision> decisions;
  for (const Part& part : parts) {
    const double dead = std::max(kDeadZoneBytes, real(part.guest->memory_bytes) * kDeadZoneShare);
    if (std::abs(part.move) < dead) continue;
    const double target = real(part.guest->balloon_bytes) + part.move;
    decisions.push_back({part.guest->id, whole(target) / kPageBytes * kPageBytes});
  }
  return decisions;
}

}  // namespace panal::policy
