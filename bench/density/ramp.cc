#include "bench/density/ramp.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace panal::bench {

const char* to_string(StepKind kind) {
  switch (kind) {
    case StepKind::kTarget: return "target";
    case StepKind::kBeyond: return "beyond";
    case StepKind::kLast: return "last";
    case StepKind::kBack: return "back";
  }
  return "";
}

std::optional<std::string> why_not(const StepSeen& seen) {
  if (!seen.short_of.empty()) return seen.short_of;
  if (seen.killed > 0) return fmt::format("{} were killed for want of memory", seen.killed);
  if (!seen.typed) return std::nullopt;
  if (seen.lost > 0)
    return fmt::format("{} of {} keys were lost", seen.lost, seen.lost + seen.keys);
  if (seen.keys == 0) return "no key was painted";
  if (seen.p99_ms > kLongestKeyMs)
    return fmt::format("1 % of the keys took more than {:.0f} ms", seen.p99_ms);
  return std::nullopt;
}

std::optional<Step> Ramp::next() const {
  switch (phase_) {
    case Phase::kTarget: return Step{StepKind::kTarget, plan_.target * step_ / plan_.steps};
    case Phase::kBeyond:
      return Step{StepKind::kBeyond,
                  std::min(plan_.aim, std::max(plan_.target, candidate_) + plan_.lot)};
    case Phase::kLast: return Step{StepKind::kLast, candidate_};
    case Phase::kBack: return Step{StepKind::kBack, holds_};
    case Phase::kEnd: break;
  }
  return std::nullopt;
}

void Ramp::leave_target(const StepSeen& seen, bool held) {
  // What was refused is data: those that are up are held like any other number, and that is it.
  if (!seen.short_of.empty()) {
    ended_ = seen.short_of;
    phase_ = Phase::kEnd;
    return;
  }
  if (step_ < plan_.steps) {
    ++step_;
    return;
  }
  if (plan_.aim <= plan_.target) {
    phase_ = Phase::kEnd;
    ended_ = "that many were asked for";
  } else if (held) {
    phase_ = Phase::kBeyond;
  } else {
    phase_ = Phase::kEnd;
    ended_ = why_not(seen).value_or("");
  }
}

void Ramp::leave_beyond(std::string why) {
  ended_ = std::move(why);
  if (candidate_ > holds_)
    phase_ = Phase::kLast;
  else
    phase_ = up_ > holds_ ? Phase::kBack : Phase::kEnd;
}

void Ramp::saw(const StepSeen& seen) {
  const auto wrong = why_not(seen);
  up_ = seen.count;
  switch (phase_) {
    case Phase::kTarget: {
      // Fewer than were asked for hold all the same, when nothing else is wrong with them.
      StepSeen those = seen;
      those.short_of.clear();
      const bool held = !why_not(those) && seen.count > 0;
      if (held) holds_ = std::max(holds_, seen.count);
      leave_target(seen, held);
      return;
    }
    case Phase::kBeyond:
      if (wrong) return leave_beyond(*wrong);
      candidate_ = seen.count;
      if (candidate_ >= plan_.aim) leave_beyond("the aim is reached");
      return;
    case Phase::kLast:
      tried_last_ = true;
      if (!wrong) {
        holds_ = seen.count;
        phase_ = Phase::kEnd;
        return;
      }
      // A number that held a minute and not ten: one lot fewer, down to what held for long.
      ended_ = fmt::format("{} held a minute, and then {}", seen.count, *wrong);
      candidate_ = candidate_ > holds_ + plan_.lot ? candidate_ - plan_.lot : 0;
      if (candidate_ == 0) phase_ = Phase::kBack;
      return;
    case Phase::kBack: phase_ = Phase::kEnd; return;
    case Phase::kEnd: return;
  }
}

void Ramp::out_of_time() {
  if (phase_ == Phase::kBeyond) return leave_beyond("the time was over");
  // A second try of a long hold takes as long as the first.
  if (phase_ == Phase::kLast && tried_last_) phase_ = Phase::kBack;
}

}  // namespace panal::bench
