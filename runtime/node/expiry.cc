#include "runtime/node/expiry.h"

#include <algorithm>

namespace panal::node {
namespace {

using std::chrono::milliseconds;

std::string brought_to(const store::Desktop& row) { return row.image + " " + row.next_version; }

/// What is left of it; none where there is no deadline.
std::optional<milliseconds> left_of(const std::optional<std::int64_t>& left_ms, milliseconds age) {
  if (!left_ms) return std::nullopt;
  return milliseconds(*left_ms) - age;
}

/// "5 min", "23 h", "6 days": rounded down, as nobody is to come too late.
std::string in_words(milliseconds left) {
  const auto minutes = std::max<std::int64_t>(0, left / std::chrono::minutes(1));
  if (minutes < 1) return "less than a minute";
  if (minutes < 120) return std::to_string(minutes) + " min";
  if (minutes < 72 * 60) return std::to_string(minutes / 60) + " h";
  return std::to_string(minutes / (24 * 60)) + " days";
}

std::string told(const std::optional<milliseconds>& soft, const std::optional<milliseconds>& hard) {
  std::string words = "There is a new version of this desktop.";
  if (soft && *soft > milliseconds(0))
    words += " From " + in_words(*soft) + " on it starts again when you disconnect";
  else if (soft)
    words += " It starts again when you disconnect";
  if (hard) {
    words += soft ? ", and in " : " It starts again in ";
    words += in_words(*hard) + (soft ? " in any case: save your work." : ": save your work.");
  } else {
    words += ": save your work before you do.";
  }
  return words;
}

}  // namespace

bool Expiry::given_up(const store::Desktop& row) const {
  const auto found = failures_.find(brought_to(row));
  return found != failures_.end() && found->second >= kMostFailures;
}

bool Expiry::may_restart() const {
  const auto now = now_();
  const auto under_way = std::count_if(desks_.begin(), desks_.end(), [&](const auto& item) {
    return item.second.restarts && now - *item.second.restarts < kPatience;
  });
  return static_cast<std::size_t>(under_way) < kAtOnce;
}

Expiry::Verdict Expiry::look(const store::Desktop& row, Clock::time_point read, bool in_use) {
  const auto now = now_();
  const auto age = std::chrono::duration_cast<milliseconds>(now - read);
  const auto soft = left_of(row.soft_left_ms, age);
  const auto hard = left_of(row.hard_left_ms, age);
  if (!soft && !hard) {
    desks_.erase(row.id);
    return {};
  }
  Desk& desk = desks_[row.id];
  if (in_use) {
    desk.away.reset();
  } else {
    desk.told = 0;  // who comes back is told again
    if (!desk.away) desk.away = now;
  }
  const bool past_hard = hard && *hard <= milliseconds(0);
  const bool past_soft = soft && *soft <= milliseconds(0);
  const bool away = desk.away && now - *desk.away >= kAway;
  if (past_hard || (past_soft && away)) {
    // A version that does not start would else end one desktop after the other.
    if (given_up(row) || !may_restart()) return {};
    desk = Desk();
    desk.restarts = now;
    desk.to = brought_to(row);
    ++restarts_;
    return {Step::kRestart, "its version " + row.running_version + " was replaced by " +
                                row.next_version + ", with which it starts again" +
                                (past_hard ? ": the time for that is over" : "")};
  }
  if (!in_use) return {};
  const int due = hard && *hard <= kLastCall ? 2 : 1;
  if (desk.told >= due) return {};
  desk.told = due;
  return {Step::kTell, told(soft, hard)};
}

bool Expiry::settle(const store::Desktop& row, bool runs) {
  const auto found = desks_.find(row.id);
  if (found == desks_.end() || !found->second.restarts) return false;
  const bool failed = !runs && row.observed == store::Observed::kFailed;
  const bool wanted = row.desired == store::Desired::kRunning;
  if (!runs && !failed && wanted) return false;
  const std::string to = found->second.to;
  desks_.erase(found);
  if (runs)
    failures_.erase(to);
  else if (failed && wanted)
    ++failures_[to];
  return true;
}

}  // namespace panal::node
