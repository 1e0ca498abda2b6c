#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "engine/model/ids.h"
#include "runtime/store/store.h"

namespace panal::node {

/// Brings desktops that run a version which their tag has left to the new one, by the deadlines
/// that were set when the tag was moved (docs/images.md, "Publishing"): who is connected is told;
/// past the soft deadline a desktop is started again once nobody is connected, past the hard one in
/// any case. Deadlines are the store's, so a panald that dies forgets only who was told. Pure but
/// for the clock; one thread.
class Expiry {
 public:
  using Clock = std::chrono::steady_clock;
  /// A link that was lost comes back by itself within seconds; its user finds his programs.
  static constexpr std::chrono::seconds kAway{60};
  /// Said once more when so little is left.
  static constexpr std::chrono::minutes kLastCall{15};
  /// Started again at the same time: hundreds expire in one moment, and each start has its cost.
  static constexpr std::size_t kAtOnce = 4;
  /// One that takes longer (it waits for room) does not hold up the others.
  static constexpr std::chrono::minutes kPatience{2};
  /// So many failed starts of a new version in a row, and nobody else is brought to it.
  static constexpr int kMostFailures = 3;

  enum class Step { kNone, kTell, kRestart };
  struct Verdict {
    Step step = Step::kNone;
    std::string words;  ///< for the user, or as the reason
  };

  explicit Expiry(std::function<Clock::time_point()> now = &Clock::now) : now_(std::move(now)) {}

  /// What is to be done about a desktop that runs and is wanted. `read`: when its row was.
  /// `in_use`: somebody is connected, or it is not known. After kRestart it counts as under way.
  [[nodiscard]] Verdict look(const store::Desktop& row, Clock::time_point read, bool in_use);
  /// How it is now, whatever it is. True: a restart has ended, so that another may begin.
  bool settle(const store::Desktop& row, bool runs);
  void forget(DesktopId id) { desks_.erase(id); }

  /// Desktops that were to be started again by now, since this panald began.
  [[nodiscard]] std::uint64_t restarts() const { return restarts_; }
  /// Versions that nobody is brought to any more: "icewm 2026.11.26-1".
  [[nodiscard]] bool given_up(const store::Desktop& row) const;

 private:
  struct Desk {
    std::optional<Clock::time_point> away;      ///< nobody is connected since then
    std::optional<Clock::time_point> restarts;  ///< since then
    std::string to;                             ///< image and version it is brought to
    int told = 0;                               ///< 1: of the deadlines, 2: that little is left
  };
  [[nodiscard]] bool may_restart() const;

  std::function<Clock::time_point()> now_;
  std::map<DesktopId, Desk> desks_;
  std::map<std::string, int> failures_;  ///< in a row, by what they were brought to
  std::uint64_t restarts_ = 0;
};

}  // namespace panal::node
