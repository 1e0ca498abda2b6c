#include "runtime/node/decide.h"

#include <algorithm>

namespace panal::node {

using store::Desired;
using store::Observed;

std::string_view to_string(Action action) {
  switch (action) {
    case Action::kNone: return "none";
    case Action::kStart: return "start";
    case Action::kStop: return "stop";
    case Action::kObserveRunning: return "observe running";
    case Action::kMarkStopped: return "mark stopped";
  }
  return "none";
}

Action decide(const store::Desktop& row, bool running) {
  const bool at_rest = row.observed == Observed::kStopped || row.observed == Observed::kFailed;
  if (row.desired == Desired::kStopped) {
    if (running) return Action::kStop;
    return at_rest ? Action::kNone : Action::kMarkStopped;
  }
  if (running) return row.observed == Observed::kRunning ? Action::kNone : Action::kObserveRunning;
  if (row.observed == Observed::kStopped) return Action::kStart;
  if (row.observed == Observed::kFailed)
    return row.generation > row.claimed_generation ? Action::kStart : Action::kNone;
  return Action::kMarkStopped;
}

bool CrashLimit::may_restart(Clock::time_point now) {
  ends_.erase(std::remove_if(ends_.begin(), ends_.end(),
                             [now](Clock::time_point end) { return now - end > kWindow; }),
              ends_.end());
  ends_.push_back(now);
  return ends_.size() < kMost;
}

}  // namespace panal::node
