#pragma once

#include <cstdint>
#include <vector>

#include "engine/model/decision.h"
#include "engine/model/session.h"
#include "engine/model/snapshot.h"

namespace panal::policy {

/// How near the end is.
enum class Danger : std::uint8_t {
  kNone,
  kTight,     ///< the reserve is touched
  kStalled,   ///< less than two are left, and desktops wait for what was taken from them
  kCritical,  ///< half of the reserve is gone
};

struct DangerInput {
  std::uint64_t available_bytes = 0;
  std::uint64_t reserve_bytes = 0;
  double memory_full_share = 0;     ///< of time, all tasks waiting (PSI full), since the last look
  std::uint64_t scanned_pages = 0;  ///< looked at by reclaim since then
  std::uint64_t refault_pages = 0;  ///< fetched back since then
  std::uint64_t reclaimed_pages = 0;  ///< taken since then
};

/// Waiting alone is no danger: it counts where less than two reserves are left, when reclaim is at
/// work and gets back what it took. (A desktop that fights with its own limit waits too.) A storm
/// of starts looks the same on a full node, and ends by itself: a stall hurries the mild steps, and
/// kills only when it lasts (LastResorts).
[[nodiscard]] Danger danger_of(const DangerInput& input);

struct ResortProcess {
  std::int32_t pid = 0;
  std::uint32_t importance = 0;  ///< 0: a program; 1: of the session (window manager); 2: draws;
                                 ///< 3: the agent, which is never killed alone
  std::uint64_t bytes = 0;       ///< resident and swapped
  double growth_bytes_per_second = 0;
};

struct ResortDesktop {
  DesktopId id = 0;
  SessionClass session = SessionClass::kActive;
  std::uint64_t bytes = 0;        ///< charged and swapped
  std::uint64_t share_bytes = 0;  ///< what is its due: an equal share of all there is
  double growth_bytes_per_second = 0;
  std::uint64_t reclaimable_bytes = 0;
  std::uint32_t process_count = 0;
  /// Processes that it lost in the last half minute to save the others: to the node, and to the
  /// kernel while the node held it to a lower limit than its own.
  std::uint64_t lost_processes = 0;
  std::vector<ResortProcess> processes;  ///< may be cut short; of the worst ones at least
};

struct LastResortInput {
  MonotonicNs at_ns = 0;
  Danger danger = Danger::kNone;
  double memory_full_share = 0;  ///< as in DangerInput
  std::vector<ResortDesktop> desktops;
};

/// Chooses the mildest step that has something left to give. A step is held long enough to work
/// before the next harder one: by the danger there is when the next is due (kHoldTight or
/// kHoldCritical), not by that in which it was taken. In kTight nothing is ever killed, in
/// kStalled only after all have waited for most of the time for kStallKills.
/// A desktop that the kernel has to hold back again and again is killed whole, danger or not.
/// Killed is only what is above its share; when nobody is, the largest disconnected desktop, then
/// the largest idle one.
class LastResorts {
 public:
  /// Reclaim of a step's size takes some ten milliseconds where memory is short.
  static constexpr MonotonicNs kHoldCritical = 200LL * 1'000'000;
  static constexpr MonotonicNs kHoldTight = 5LL * 1'000'000'000;
  /// A kill frees its memory within a second, if the kernel is allowed to run.
  static constexpr MonotonicNs kHoldAfterKill = 1LL * 1'000'000'000;
  /// A document that is lost is worse than some seconds of waiting (systemd-oomd: 60 % for 30 s, of
  /// a session's own group).
  static constexpr double kStallShare = 0.5;
  static constexpr MonotonicNs kStallKills = 20LL * 1'000'000'000;

  [[nodiscard]] LastResortDecision decide(const LastResortInput& input);
  /// The next decision may be a kill: it wants the worst desktop's processes.
  [[nodiscard]] bool may_kill() const { return step_ >= LastResort::kRefuse; }

 private:
  [[nodiscard]] LastResortDecision kill(const LastResortInput& input);
  [[nodiscard]] const ResortDesktop* relapsing(const LastResortInput& input) const;
  /// Whether what there is of danger is enough to kill somebody for.
  [[nodiscard]] bool deadly(const LastResortInput& input);
  /// Of a step taken now: how long it has before the next, where time is short.
  void hold(MonotonicNs now_ns, MonotonicNs critical_ns);

  LastResort step_ = LastResort::kNone;
  MonotonicNs tight_until_ns_ = 0;     ///< no step before it while memory is only tight
  MonotonicNs critical_until_ns_ = 0;  ///< none before it at all
  MonotonicNs round_until_ns_ = 0;     ///< no mild steps anew before it
  MonotonicNs stalled_since_ns_ = -1;  ///< all have waited for most of the time; -1: they do not
  DesktopId victim_ = 0;
  unsigned killed_of_victim_ = 0;
  MonotonicNs killed_at_ns_ = 0;
};

/// The desktop that is to blame: the one furthest above its share, ten seconds ahead.
/// nullptr where there is none to be blamed.
[[nodiscard]] const ResortDesktop* worst_desktop(const std::vector<ResortDesktop>& desktops);

/// How far a desktop is above its share, ten seconds ahead; negative below it. In bytes.
[[nodiscard]] double excess_bytes(const ResortDesktop& desktop);

/// Its least important process, of those the one that will be the largest in ten seconds; nullptr
/// where only the agent is left.
[[nodiscard]] const ResortProcess* least_important(const ResortDesktop& desktop);

}  // namespace panal::policy
