#include "engine/policy/last_resort.h"

#include <algorithm>
#include <tuple>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

/// All tasks waiting for a tenth of the time is what a user calls frozen.
constexpr double kFullShare = 0.10;
/// lmkd's test of thrashing: much of what was taken comes back.
constexpr double kThrashShare = 0.5;
/// Less than this of a desktop is not worth being woken for.
constexpr std::uint64_t kLeastBytes = 1 * kMib;
/// How far ahead growth counts: a hog at 200 MiB/s is 2 GiB worse than it looks.
constexpr double kAheadSeconds = 10;
constexpr std::uint32_t kAgent = 3;
/// A fork bomb has no process that is to blame.
constexpr unsigned kMostKillsOfOne = 3;
constexpr MonotonicNs kKillWindow = 30 * kSecond;
constexpr std::uint32_t kManyProcesses = 500;
/// A build whose compiler does not fit loses one or two; who goes on means it.
constexpr std::uint64_t kMostLost = 5;

bool is_away(SessionClass session) {
  return session == SessionClass::kDisconnected || session == SessionClass::kFrozen;
}

double ahead(std::uint64_t bytes, double growth_bytes_per_second) {
  return real(bytes) + kAheadSeconds * std::max(0.0, growth_bytes_per_second);
}

}  // namespace

double excess_bytes(const ResortDesktop& desktop) {
  return ahead(desktop.bytes, desktop.growth_bytes_per_second) - real(desktop.share_bytes);
}

Danger danger_of(const DangerInput& input) {
  const bool near = input.available_bytes / 2 < input.reserve_bytes;
  const bool thrashing = near && input.memory_full_share > kFullShare && input.scanned_pages > 0 &&
                         real(input.refault_pages) > kThrashShare * real(input.reclaimed_pages);
  if (input.available_bytes < input.reserve_bytes / 2) return Danger::kCritical;
  if (thrashing) return Danger::kStalled;
  return input.available_bytes < input.reserve_bytes ? Danger::kTight : Danger::kNone;
}

const ResortDesktop* worst_desktop(const std::vector<ResortDesktop>& desktops) {
  const ResortDesktop* worst = nullptr;
  for (const ResortDesktop& desktop : desktops)
    if (excess_bytes(desktop) > 0 &&
        (worst == nullptr || excess_bytes(desktop) > excess_bytes(*worst)))
      worst = &desktop;
  if (worst != nullptr) return worst;
  // Nobody is above its share: there are too many. Those that nobody looks at go first, and the
  // active never, as long as any other is left.
  for (const ResortDesktop& desktop : desktops) {
    if (desktop.session == SessionClass::kActive || desktop.bytes < kLeastBytes) continue;
    if (worst == nullptr || std::tuple(is_away(desktop.session), desktop.bytes) >
                                std::tuple(is_away(worst->session), worst->bytes))
      worst = &desktop;
  }
  return worst;
}

const ResortProcess* least_important(const ResortDesktop& desktop) {
  const ResortProcess* least = nullptr;
  for (const ResortProcess& process : desktop.processes) {
    if (process.importance >= kAgent || process.pid <= 1) continue;
    if (least == nullptr || process.importance < least->importance ||
        (process.importance == least->importance &&
         ahead(process.bytes, process.growth_bytes_per_second) >
             ahead(least->bytes, least->growth_bytes_per_second)))
      least = &process;
  }
  return least;
}

void LastResorts::hold(MonotonicNs now_ns, MonotonicNs critical_ns) {
  critical_until_ns_ = now_ns + critical_ns;
  tight_until_ns_ = now_ns + kHoldTight;
}

LastResortDecision LastResorts::kill(const LastResortInput& input) {
  LastResortDecision decision{LastResort::kNone, true, {}, 0};
  const ResortDesktop* worst = worst_desktop(input.desktops);
  if (worst == nullptr) return decision;
  if (worst->id != victim_ || input.at_ns - killed_at_ns_ > kKillWindow) killed_of_victim_ = 0;
  victim_ = worst->id;
  killed_at_ns_ = input.at_ns;
  hold(input.at_ns, kHoldAfterKill);
  decision.desktops = {worst->id};
  const ResortProcess* process = least_important(*worst);
  // Killing the session's own programs one by one is no mercy.
  const bool whole_desktop = process == nullptr || process->importance > 0 ||
                             killed_of_victim_ >= kMostKillsOfOne ||
                             worst->process_count >= kManyProcesses;
  decision.step = whole_desktop ? LastResort::kKillDesktop : LastResort::kKillProcess;
  if (!whole_desktop) {
    decision.pid = process->pid;
    ++killed_of_victim_;
  }
  return decision;
}

const ResortDesktop* LastResorts::relapsing(const LastResortInput& input) const {
  if (killed_at_ns_ != 0 && input.at_ns < killed_at_ns_ + kHoldAfterKill) return nullptr;
  for (const ResortDesktop& desktop : input.desktops)
    if (desktop.lost_processes >= kMostLost) return &desktop;
  return nullptr;
}

bool LastResorts::deadly(const LastResortInput& input) {
  const bool waits = input.danger >= Danger::kStalled && input.memory_full_share > kStallShare;
  if (!waits)
    stalled_since_ns_ = -1;
  else if (stalled_since_ns_ < 0)
    stalled_since_ns_ = input.at_ns;
  return input.danger == Danger::kCritical ||
         (stalled_since_ns_ >= 0 && input.at_ns - stalled_since_ns_ >= kStallKills);
}

LastResortDecision LastResorts::decide(const LastResortInput& input) {
  LastResortDecision decision;
  const bool may_kill_now = deadly(input);
  if (const ResortDesktop* desktop = relapsing(input)) {
    killed_at_ns_ = input.at_ns;
    hold(input.at_ns, kHoldAfterKill);
    return {LastResort::kKillDesktop, true, {desktop->id}, 0};
  }
  if (input.danger == Danger::kNone) {
    step_ = LastResort::kNone;
    tight_until_ns_ = round_until_ns_ = 0;  // but what a kill frees is still waited for
    return decision;
  }
  decision.admission_closed = true;
  // Who was only tight waits long for a mild step, because there is time. Once there is none the
  // wait is over: a hog may fill what is left in half a second.
  if (input.at_ns < critical_until_ns_) return decision;
  if (input.danger == Danger::kTight && input.at_ns < tight_until_ns_) return decision;
  if (!may_kill_now && input.at_ns < round_until_ns_) return decision;

  hold(input.at_ns, kHoldCritical);
  if (step_ < LastResort::kReclaim) {
    step_ = LastResort::kReclaim;
    for (const ResortDesktop& desktop : input.desktops)
      if (is_away(desktop.session) && desktop.reclaimable_bytes >= kLeastBytes)
        decision.desktops.push_back(desktop.id);
    if (!decision.desktops.empty()) {
      decision.step = LastResort::kReclaim;
      return decision;
    }
  }
  if (step_ < LastResort::kFreeze) {
    step_ = LastResort::kFreeze;
    for (const ResortDesktop& desktop : input.desktops)
      if (desktop.session == SessionClass::kDisconnected) decision.desktops.push_back(desktop.id);
    if (!decision.desktops.empty()) {
      decision.step = LastResort::kFreeze;
      return decision;
    }
  }
  if (step_ < LastResort::kRefuse) {
    step_ = LastResort::kRefuse;
    decision.step = LastResort::kRefuse;
    // It frees nothing, so that there is nothing to wait for where time is short.
    hold(input.at_ns, 0);
    return decision;
  }
  if (!may_kill_now) {
    step_ = LastResort::kNone;  // round again: desktops that went away meanwhile can give now
    round_until_ns_ = input.at_ns + kHoldTight;
    return decision;
  }
  step_ = LastResort::kKillProcess;
  return kill(input);
}

}  // namespace panal::policy
