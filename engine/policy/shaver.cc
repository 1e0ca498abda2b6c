#include "engine/policy/shaver.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

struct ClassRule {
  double rho;                 ///< part of what is above the floor, per kStepSeconds
  double wait_share;          ///< of time waited at which steps end; the host's swap is not free
  double refault_share;       ///< fetched back per taken at which it is left alone
  std::uint64_t floor_bytes;  ///< an idle IceWM desktop is 14 MiB, a paged out XFCE one 16
};

/// TMO takes 0.05 % a step from everybody; that nobody looks is worth a hundred times as much. A
/// disconnected desktop may wait (who would see it?), but what it fetches back was taken in vain.
constexpr ClassRule kIdle{0.05, 0.005, 0.05, 6 * kMib};
constexpr ClassRule kDisconnected{0.5, 1.0, 0.20, 2 * kMib};
constexpr ClassRule kFrozen{0.5, 1.0, 0.20, 1 * kMib};
constexpr double kStepSeconds = 6;
/// A walk over a desktop's mappings is some 20 ms of CPU time: for less than so much it is not
/// worth it. When memory is short, a quarter of that is.
constexpr std::uint64_t kLeastStepBytes = 1 * kMib;
/// What was not worth a step grows until it is, over so long.
constexpr double kLongestStepSeconds = 60;
/// After a step of which more than the class's share was fetched back at once: the user may notice.
constexpr MonotonicNs kPause = 12 * kSecond;
/// Paging 1 MiB out costs 9 ms of CPU time (XFCE). 165 desktops that each fetch back 8 MiB in five
/// minutes and lose them again take 0.04 of a core for that; at an hour's rest, 0.003. Four times:
/// half an hour after the last start it is rare.
constexpr MonotonicNs kFirstRest = 1 * kMinute;
constexpr MonotonicNs kLongestRest = 60 * kMinute;
constexpr MonotonicNs kRestGrows = 4;
/// With this much need a minute's gain is worth it.
constexpr double kReallyShort = 0.9;
constexpr MonotonicNs kLongestRestWhenShort = 1 * kMinute;
/// Of what was taken lately so much is back: it was taken in vain. What comes back does so within
/// minutes: a clock, a timer, a blinking cursor.
constexpr double kVainShare = 0.5;
constexpr double kTrialHalfLifeSeconds = 120;
/// Taken from for so long without that: the next rest need not be so long.
constexpr MonotonicNs kProven = 10 * kMinute;
/// A step that brings less than a tenth of what was asked for, thrice: there is no more. Who was
/// left alone for that before need not be asked thrice again.
constexpr double kEmptyHandedShare = 0.1;
constexpr unsigned kEmptyHanded = 3;
/// A soft floor is forgotten by half in half an hour: what is hot changes.
constexpr double kFloorHalfLifeSeconds = 1800;
/// With less than 30 % of RAM, or of a limit, available memory begins to be short; need is 1 at the
/// reserve.
constexpr double kPlentyShare = 0.30;
/// CPU for it, in cores: a tenth when it is only thrift, a half when memory is short, or of what
/// nobody else wants.
constexpr double kThriftCores = 0.10;
constexpr double kNeedCores = 0.50;
constexpr double kIdlePart = 0.5;
/// Compression until it was seen (XFCE, lzo-rle: 4.9).
constexpr double kFirstRatio = 3;
/// The rest of a swap device is left to the kernel's own reclaim.
constexpr double kSwapUse = 0.95;

ClassRule rule_of(SessionClass session) {
  switch (session) {
    case SessionClass::kActive:
    case SessionClass::kIdle: return kIdle;
    case SessionClass::kDisconnected: return kDisconnected;
    case SessionClass::kFrozen: return kFrozen;
  }
  return kIdle;
}

/// Bytes that can still be paged out: what swap has room for, and zram's limit.
double swap_room(const ShaveInput& input) {
  const double reserved = real(input.memory.swap_total) * (1 - kSwapUse);
  double room = std::max(0.0, real(input.memory.swap_free) - reserved);
  if (input.zram.limit > 0) {
    const double ratio =
        input.zram.used > 0 && input.zram.original > 64 * kMib
            ? std::clamp(real(input.zram.original) / real(input.zram.used), 1.0, 20.0)
            : kFirstRatio;
    const double left = real(input.zram.limit) * kSwapUse - real(input.zram.used);
    room = std::min(room, std::max(0.0, left) * ratio);
  }
  return room;
}

/// Above it a smaller step is worth a walk, and nobody waits for KSM.
constexpr double kMuchNeed = 0.5;

std::uint64_t least_step(double need) {
  return need > kMuchNeed ? kLeastStepBytes / 4 : kLeastStepBytes;
}

double need_of(std::uint64_t total, std::uint64_t available, std::uint64_t reserve_bytes) {
  const double reserve = real(reserve_bytes);
  const double plenty = std::max(real(total) * kPlentyShare, reserve + 1);
  return std::clamp((plenty - real(available)) / (plenty - reserve), 0.0, 1.0);
}

std::uint64_t resident(const ShaveDesktop& desktop) {
  return desktop.anon_bytes + desktop.file_bytes;
}

}  // namespace

ShaveDesktop shave_desktop_of(const GroupSnapshot& group) {
  ShaveDesktop desktop;
  desktop.id = group.desktop;
  desktop.session = group.session;
  desktop.session_since_ns = group.session_since_ns;
  if (const auto& memory = group.usage.memory) {
    desktop.anon_bytes = memory->anon_bytes;
    desktop.file_bytes = less(memory->file_bytes, memory->shmem_bytes);
    desktop.refault_pages = memory->refault_anon_pages + memory->refault_file_pages;
  }
  if (group.pressure.memory) desktop.memory_wait_us = group.pressure.memory->some.total_us;
  if (group.pressure.io) desktop.io_wait_us = group.pressure.io->some.total_us;
  return desktop;
}

double Shaver::need(const ShaveInput& input) const {
  double most = need_of(input.memory.total, input.memory.available, config_.reserve_bytes);
  for (const ShaveGroup& group : input.groups)
    most = std::max(most, need_of(group.limit_bytes, group.available_bytes, group.reserve_bytes));
  return most;
}

MonotonicNs Shaver::State::rests_until(bool really_short) const {
  return rest_from_ns + (really_short ? std::min(rest_ns, kLongestRestWhenShort) : rest_ns);
}

bool Shaver::rests(DesktopId id, MonotonicNs now_ns) const {
  const auto found = states_.find(id);
  return found != states_.end() && now_ns < found->second.rests_until(false);
}

void Shaver::learn(State& state, const ShaveDesktop& desktop, const Round& round) {
  const MonotonicNs now_ns = round.input.at_ns;
  const bool anew = !state.seen || state.last.session != desktop.session ||
                    state.last.session_since_ns != desktop.session_since_ns;
  if (anew) {
    state = State{};
    return;
  }
  const ClassRule rule = rule_of(desktop.session);
  const double elapsed = seconds(now_ns - state.at_ns);
  state.soft_floor *= std::exp2(-elapsed / kFloorHalfLifeSeconds);
  const double came =
      real(grown(state.last.refault_pages, desktop.refault_pages)) * real(kPageBytes);
  // The charge says what was won, never the actuator.
  const double taken = real(less(resident(state.last), resident(desktop)));
  const bool asked = state.asked_bytes > 0;
  const double left = std::exp2(-elapsed / kTrialHalfLifeSeconds);
  state.tried = state.tried || asked;
  state.out_bytes *= left;
  state.back_bytes = state.back_bytes * left + (state.tried ? came : 0);
  if (asked) {
    state.empty_handed =
        taken + came < kEmptyHandedShare * real(state.asked_bytes) ? state.empty_handed + 1 : 0;
    state.taken_bytes += taken;
    state.out_bytes += std::min(taken + came, real(state.asked_bytes));
    if (came > rule.refault_share * std::max(state.taken_bytes, real(kLeastStepBytes)))
      state.pause_until_ns = now_ns + kPause;
  }
  state.taken_bytes /= 2;
  if (now_ns < state.rests_until(round.need > kReallyShort)) return;
  const bool in_vain =
      state.back_bytes > kVainShare * std::max(state.out_bytes, real(kLeastStepBytes));
  const bool barren =
      asked && state.empty_handed >= (state.rest_ns > kFirstRest ? 1U : kEmptyHanded);
  if (in_vain || barren) {
    // What is frozen will not have more the next time.
    const bool for_good = desktop.session == SessionClass::kFrozen && barren;
    state.rest_ns =
        for_good ? kLongestRest : std::clamp(state.rest_ns * kRestGrows, kFirstRest, kLongestRest);
    state.rest_from_ns = now_ns;
    state.rest_reason = in_vain ? ShaveReason::kRefaults : ShaveReason::kNoYield;
    state.empty_handed = 0;
    state.out_bytes = state.back_bytes = 0;
    if (in_vain) state.soft_floor = std::max(state.soft_floor, real(resident(desktop)));
  } else if (now_ns - std::max(state.rests_until(false), state.eased_ns) >= kProven) {
    state.rest_ns /= kRestGrows;
    state.eased_ns = now_ns;
  }
}

/// What is taken before it was merged is not lost to KSM, only later; what waits is lost to all.
bool Shaver::waits_for_ksm(const ShaveDesktop& desktop, const Round& round) const {
  return config_.order == ShaveOrder::kKsmFirst && !desktop.ksm_settled && round.input.ksm_moves &&
         round.input.at_ns - desktop.session_since_ns < kLongestWaitForKsm &&
         round.need <= kMuchNeed;
}

ShaveDecision Shaver::wish(const State& state, const ShaveDesktop& desktop,
                           const Round& round) const {
  const MonotonicNs now_ns = round.input.at_ns;
  ShaveDecision none{desktop.id, 0, false, ShaveReason::kActive};
  const auto refuse = [&none](ShaveReason reason) {
    none.reason = reason;
    return none;
  };
  if (desktop.session == SessionClass::kActive) return none;
  if (!state.seen) return refuse(ShaveReason::kNextTime);  // no deltas yet
  if (waits_for_ksm(desktop, round)) return refuse(ShaveReason::kWaitsForKsm);
  if (now_ns < state.rests_until(round.need > kReallyShort)) return refuse(state.rest_reason);
  if (now_ns < state.pause_until_ns) return refuse(ShaveReason::kRefaults);
  const double urge = std::max(round.need, std::clamp(config_.eagerness, 0.0, 1.0));
  if (urge <= 0) return refuse(ShaveReason::kNotNeeded);

  const ClassRule rule = rule_of(desktop.session);
  const double waited = real(std::max(grown(state.last.memory_wait_us, desktop.memory_wait_us),
                                      grown(state.last.io_wait_us, desktop.io_wait_us)));
  const double since = std::max(1e-3, seconds(now_ns - state.at_ns));
  // What is frozen waits for nothing; a part still waiting in the kernel must not end its turn.
  const double calm =
      desktop.session == SessionClass::kFrozen ? 1 : 1 - waited / 1e6 / since / rule.wait_share;
  if (calm <= 0) return refuse(ShaveReason::kPressure);

  const double grown_for = std::min(
      kLongestStepSeconds, round.elapsed_seconds + seconds(state.at_ns - state.stepped_ns));
  const double part = 1 - std::pow(1 - rule.rho, grown_for / kStepSeconds);
  const double hot = round.need > kReallyShort ? 0 : state.soft_floor;
  const double floor = std::max(real(rule.floor_bytes), hot);
  const double step = (real(resident(desktop)) - floor) * part * calm * urge;
  if (step < real(least_step(round.need))) return refuse(ShaveReason::kAtFloor);
  return {desktop.id, whole(step), false, ShaveReason::kTaken};
}

std::optional<ShaveReason> Shaver::freezes(const ShaveDesktop& desktop, MonotonicNs now_ns) const {
  if (desktop.session != SessionClass::kDisconnected) return std::nullopt;
  const MonotonicNs away = now_ns - desktop.session_since_ns;
  if (config_.freeze_after_ns > 0 && away >= config_.freeze_after_ns) return ShaveReason::kLongAway;
  if (config_.freeze_quiet_after_ns <= 0 || desktop.quiet_since_ns == 0) return std::nullopt;
  const MonotonicNs quiet = now_ns - desktop.quiet_since_ns;
  return std::min(away, quiet) >= config_.freeze_quiet_after_ns
             ? std::optional<ShaveReason>(ShaveReason::kQuiet)
             : std::nullopt;
}

std::vector<ShaveDecision> Shaver::decide(const ShaveInput& input) {
  const double elapsed =
      started_ ? std::clamp(seconds(input.at_ns - last_ns_), 0.0, 60.0) : kStepSeconds;
  started_ = true;
  last_ns_ = input.at_ns;
  ++round_;
  const Round round{input, need(input), elapsed};
  const double least = real(least_step(round.need));

  std::vector<ShaveDecision> decisions;
  decisions.reserve(input.desktops.size());
  for (const ShaveDesktop& desktop : input.desktops) {
    State& state = states_[desktop.id];
    learn(state, desktop, round);
    decisions.push_back(wish(state, desktop, round));
    if (const auto why = freezes(desktop, input.at_ns)) {
      decisions.back().freeze = true;
      if (decisions.back().bytes == 0) decisions.back().reason = *why;
    }
  }

  // Who is deepest and longest away pays first.
  std::vector<std::size_t> order(decisions.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const ShaveDesktop& left = input.desktops[a];
    const ShaveDesktop& right = input.desktops[b];
    if (left.session != right.session) return left.session > right.session;
    if (left.session_since_ns != right.session_since_ns)
      return left.session_since_ns < right.session_since_ns;
    return left.id < right.id;
  });
  const double by_need = kThriftCores + (kNeedCores - kThriftCores) * round.need;
  const double cores = std::max(by_need, std::min(kNeedCores, kIdlePart * input.idle_cores));
  const double speed =
      input.bytes_per_cpu_second > 0 ? input.bytes_per_cpu_second : kFirstBytesPerCpuSecond;
  double budget = cores * elapsed * speed;
  double room = swap_room(input);
  for (const std::size_t i : order) {
    ShaveDecision& decision = decisions[i];
    const ShaveDesktop& desktop = input.desktops[i];
    if (decision.bytes > 0) {
      // Page cache needs no swap; whatever goes beyond it does.
      const double fits = room + real(desktop.file_bytes);
      const double bytes = std::min({real(decision.bytes), budget, fits});
      if (bytes < least) {
        decision.reason = fits < budget ? ShaveReason::kNoSwapRoom : ShaveReason::kNextTime;
        decision.bytes = 0;
      } else {
        decision.bytes = whole(bytes);
        budget -= bytes;
        room -= std::min(room, bytes);
      }
    }
    State& state = states_[desktop.id];
    // What was too little, or not its turn, grows; who was left alone for a reason begins anew.
    const bool grows = state.seen && (decision.reason == ShaveReason::kAtFloor ||
                                      decision.reason == ShaveReason::kNextTime);
    if (!grows) state.stepped_ns = input.at_ns;
    state.seen = true;
    state.last = desktop;
    state.at_ns = input.at_ns;
    state.asked_bytes = decision.bytes;
    state.round = round_;
  }
  std::erase_if(states_, [&](const auto& entry) { return entry.second.round != round_; });
  return decisions;
}

}  // namespace panal::policy
