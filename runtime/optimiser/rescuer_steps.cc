// What the last resort measures and does.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "engine/policy/units.h"
#include "runtime/optimiser/optimiser.h"
#include "runtime/optimiser/rescuer.h"

namespace panal::optimiser {

using policy::kMib;
using policy::kMillisecond;
using policy::ResortDesktop;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

/// The dear reading is for those that could be to blame: the largest.
constexpr std::size_t kReadWhole = 32;
constexpr std::size_t kReadWholeNear = 8;  ///< while there is no danger yet
/// Growth over less than this is noise.
constexpr MonotonicNs kGrowthOver = 150 * kMillisecond;
/// Older than this, it says nothing of now.
constexpr MonotonicNs kGrowthUntil = 5 * policy::kSecond;
constexpr milliseconds kHoldProcesses{50};
constexpr MonotonicNs kLossesOver = 30 * policy::kSecond;
/// How long the effect of a kill is waited for; nobody else is killed meanwhile.
constexpr milliseconds kProcessEnds{3000};
constexpr milliseconds kDesktopEnds{10000};
/// Of a killed desktop, those whose memory we take ourselves.
constexpr std::size_t kReleased = 8;
constexpr std::size_t kRemembered = 8;
constexpr std::uint64_t kMostRemembered = 64;  ///< losses of one look

template <typename Earlier>
double growth(Earlier& then, std::uint64_t bytes, MonotonicNs now_ns) {
  if (then.at_ns == 0 || now_ns - then.at_ns > kGrowthUntil) {
    then = {bytes, now_ns, 0};
  } else if (now_ns - then.at_ns >= kGrowthOver) {
    const double grown = policy::real(bytes) - policy::real(then.bytes);
    then = {bytes, now_ns, grown / policy::seconds(now_ns - then.at_ns)};
  }
  return then.growth;
}

std::string mib(double bytes) { return fmt::format("{:.0f} MiB", bytes / policy::real(kMib)); }

const RescueDesk* find_desk(const std::vector<RescueDesk>& desks, DesktopId id) {
  const auto found = std::find_if(desks.begin(), desks.end(),
                                  [id](const RescueDesk& one) { return one.id == id; });
  return found == desks.end() ? nullptr : &*found;
}

}  // namespace

std::vector<ResortDesktop> Rescuer::measure(const std::vector<RescueDesk>& desks,
                                            const Sight& sight, Fences::Charges& charges) {
  std::vector<ResortDesktop> out;
  std::vector<std::size_t> of;  // its place in `desks`
  std::vector<std::uint64_t> charged;
  for (std::size_t place = 0; place < desks.size(); ++place) {
    const RescueDesk& desk = desks[place];
    const auto charge = desk.group->memory_with_swap();
    if (!charge) {
      if (!charge.error().is_gone()) complain("measure", charge.error());
      continue;
    }
    ResortDesktop one;
    one.id = desk.id;
    one.session = desk.session;
    // Page cache is given back for nothing: it is nobody's fault.
    one.bytes = policy::less(*charge, desk.cache_bytes);
    one.share_bytes = sight.limit_bytes / desks.size();
    one.reclaimable_bytes = desk.anon_bytes + desk.cache_bytes;
    out.push_back(std::move(one));
    of.push_back(place);
    charged.push_back(*charge);
  }
  std::vector<std::size_t> order(out.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const std::size_t most =
      std::min(sight.danger == policy::Danger::kNone ? kReadWholeNear : kReadWhole, order.size());
  // By all that they are charged: how much of it is page cache may have changed since.
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(most), order.end(),
                    [&charged](std::size_t a, std::size_t b) { return charged[a] > charged[b]; });
  for (std::size_t i = 0; i < most; ++i) {
    const std::size_t place = of[order[i]];
    const auto usage = desks[place].group->statistics();
    if (!usage || !usage->memory) continue;
    const MemoryStatistics& memory = *usage->memory;
    const std::uint64_t cache = policy::less(memory.file_bytes, memory.shmem_bytes);
    out[order[i]].bytes = policy::less(memory.usage_bytes + memory.swap_bytes, cache);
    if (auto& charge = charges[place])
      charge = FenceCharge{std::min(charge->bytes, memory.usage_bytes), cache};
    out[order[i]].lost_processes = lost_lately(out[order[i]].id, memory.oom_kills);
    out[order[i]].process_count = static_cast<std::uint32_t>(usage->pids.value_or(0));
  }
  const MonotonicNs now = monotonic_ns();
  for (ResortDesktop& one : out)
    one.growth_bytes_per_second = growth(earlier_[one.id], one.bytes, now);
  return out;
}

std::uint64_t Rescuer::lost_lately(DesktopId id, std::uint64_t kernel_kills) {
  if (!fences_.fenced(id)) {
    losses_.erase(id);
    return 0;
  }
  const MonotonicNs now = monotonic_ns();
  Losses& known = losses_.try_emplace(id, Losses{kernel_kills, {}}).first->second;
  const std::uint64_t more = policy::grown(known.kernel_kills, kernel_kills);
  known.at_ns.insert(known.at_ns.end(), std::min(more, kMostRemembered), now);
  known.kernel_kills = kernel_kills;
  while (!known.at_ns.empty() && now - known.at_ns.front() > kLossesOver) known.at_ns.pop_front();
  return known.at_ns.size();
}

bool Rescuer::hold_worst(std::vector<ResortDesktop>& desktops,
                         const std::vector<RescueDesk>& desks) {
  held_of_ = 0;
  if (!resorts_.may_kill()) return true;
  const ResortDesktop* worst = policy::worst_desktop(desktops);
  const RescueDesk* desk = worst == nullptr ? nullptr : find_desk(desks, worst->id);
  if (desk == nullptr) return true;
  auto held =
      hold_processes(parts_.tree, *desk->group, {.deadline = steady_clock::now() + kHoldProcesses});
  if (!held) {
    if (!held.error().is_gone()) complain("hold_processes", held.error());
    return false;
  }
  held_ = std::move(*held);
  held_of_ = worst->id;
  const MonotonicNs now = monotonic_ns();
  for (ResortDesktop& one : desktops) {
    if (one.id != held_of_) continue;
    for (HeldProcess& process : held_) {
      process.about.growth_bytes_per_second =
          growth(earlier_processes_[process.about.pid], process.about.bytes, now);
      one.processes.push_back(process.about);
    }
  }
  return true;
}

std::string Rescuer::words(const ResortDesktop& desktop) {
  const double over = policy::real(desktop.bytes) - policy::real(desktop.share_bytes);
  return fmt::format("it held {}, {} {} an equal share, and {} by {} a second",
                     mib(policy::real(desktop.bytes)), mib(std::abs(over)),
                     over >= 0 ? "above" : "below",
                     desktop.growth_bytes_per_second >= 0 ? "grew" : "shrank",
                     mib(std::abs(desktop.growth_bytes_per_second)));
}

void Rescuer::act(const LastResortDecision& decision, const Sight& sight,
                  const std::vector<ResortDesktop>& desktops,
                  const std::vector<RescueDesk>& desks) {
  switch (decision.step) {
    case LastResort::kNone: return;
    case LastResort::kReclaim:
    case LastResort::kFreeze:
    case LastResort::kRefuse:
      parts_.log->warning("last_resort", {{"step", std::string(to_string(decision.step))},
                                          {"desktops", std::to_string(decision.desktops.size())},
                                          {"room", words(sight)}});
      if (decision.step == LastResort::kReclaim) parts_.hands.take_all(decision.desktops);
      if (decision.step == LastResort::kFreeze) {
        parts_.hands.freeze_all(decision.desktops);
        froze_ = true;
      }
      return;
    case LastResort::kKillProcess:
    case LastResort::kKillDesktop: break;
  }
  const auto victim = std::find_if(desktops.begin(), desktops.end(), [&](const ResortDesktop& one) {
    return !decision.desktops.empty() && one.id == decision.desktops.front();
  });
  if (victim == desktops.end()) return;
  const RescueDesk* desk = find_desk(desks, victim->id);
  if (desk == nullptr) return;
  if (decision.step == LastResort::kKillProcess)
    kill_process(decision, sight, *victim, *desk);
  else
    kill_desktop(sight, *victim, *desk);
}

void Rescuer::kill_process(const LastResortDecision& decision, const Sight& sight,
                           const ResortDesktop& desktop, const RescueDesk& desk) {
  const auto process = std::find_if(held_.begin(), held_.end(), [&](const HeldProcess& one) {
    return held_of_ == desktop.id && one.about.pid == decision.pid;
  });
  if (process == held_.end()) return;
  const auto before = desk.group->memory_with_swap();
  if (auto sent = process->held.send_signal(SIGKILL); !sent) {
    if (!sent.error().is_gone()) complain("kill_process", sent.error());
    return;
  }
  // The exit of what is killed may have to wait for memory itself; it is no harm if it goes first.
  (void)process->held.release_memory();
  const auto ended = process->held.wait_exit(kProcessEnds);
  const auto after = desk.group->memory_with_swap();
  const std::string what = fmt::format(
      "process {} ({}) with {} of {} was killed: {}; {}; {} came back{}", decision.pid,
      printable(process->name, 40), mib(policy::real(process->about.bytes)),
      kernel_name(desktop.id), words(sight), words(desktop),
      before && after ? mib(policy::real(policy::less(*before, *after))) : "not known what",
      ended && *ended ? "" : ", and it has not ended yet");
  parts_.log->warning("last_resort", {{"step", "kill_process"},
                                      {"desktop", kernel_name(desktop.id)},
                                      {"pid", std::to_string(decision.pid)},
                                      {"why", what}});
  remember(what);
  if (const auto found = losses_.find(desktop.id); found != losses_.end())
    found->second.at_ns.push_back(monotonic_ns());
  const std::lock_guard lock(mutex_);
  ++totals_.killed_processes;
  ++killed_processes_[desktop.id];
}

void Rescuer::kill_desktop(const Sight& sight, const ResortDesktop& desktop,
                           const RescueDesk& desk) {
  std::uint64_t killed_before = 0;
  std::string why;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = killed_processes_.find(desktop.id); found != killed_processes_.end())
      killed_before = found->second;
    why = fmt::format("it was killed to save its neighbours: {}; {}, with {} processes",
                      words(sight), words(desktop), desktop.process_count);
    if (killed_before > 0)
      why += fmt::format("; {} of its processes had been killed before", killed_before);
    if (desktop.lost_processes > 0)
      why += fmt::format("; it lost {} in the last half minute at the limit it was held to",
                         desktop.lost_processes);
    // Before its init ends: whoever sees that asks why.
    killed_[desktop.id] = why;
    losses_.erase(desktop.id);
    ++totals_.killed_desktops;
  }
  parts_.log->error("last_resort",
                    {{"step", "kill_desktop"}, {"desktop", kernel_name(desktop.id)}, {"why", why}});
  remember("desktop " + kernel_name(desktop.id) + ": " + why);
  if (held_of_ == desktop.id) {
    std::sort(held_.begin(), held_.end(), [](const HeldProcess& a, const HeldProcess& b) {
      return a.about.bytes > b.about.bytes;
    });
    for (std::size_t i = 0; i < std::min(kReleased, held_.size()); ++i)
      if (held_[i].held.send_signal(SIGKILL)) (void)held_[i].held.release_memory();
  }
  if (auto ended = desk.group->kill_all(kDesktopEnds); !ended && !ended.error().is_gone())
    complain("kill_desktop", ended.error());
}

void Rescuer::remember(const std::string& what) {
  const std::lock_guard lock(mutex_);
  last_kills_.push_back(what);
  while (last_kills_.size() > kRemembered) last_kills_.pop_front();
}

}  // namespace panal::optimiser
