#include "runtime/optimiser/rescuer.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/kernel/meminfo.h"
#include "engine/kernel/psi.h"
#include "engine/kernel/vmstat.h"
#include "engine/kernel/zram.h"
#include "engine/policy/units.h"
#include "runtime/optimiser/enclosing_groups.h"
#include "runtime/optimiser/memory_taker.h"
#include "runtime/optimiser/optimiser.h"
#include "runtime/optimiser/start_limits.h"

namespace panal::optimiser {

using nlohmann::json;
using policy::Danger;
using policy::kMib;
using policy::kSecond;

namespace {

/// With nothing to fear.
constexpr int kCalmMs = 1000;
/// With less than kNearReserves left, but room for any one desktop to grow to its limit.
constexpr int kWaryMs = 500;
/// With less: a hog that takes 1 GiB a second is seen in time.
constexpr int kNearMs = 200;
/// With many desktops less often: a look costs some 20 us for each.
constexpr int kNearMsEach = 2;
constexpr int kDangerMs = 100;
constexpr double kNearReserves = 4;
constexpr std::uint64_t kNearBytes = 1024 * kMib;
/// Counters are compared over this time: a single look's would be noise.
constexpr MonotonicNs kCountersOver = kSecond;
/// As often as an unprivileged trigger may look.
constexpr kernel::PsiThreshold kWaiting{std::chrono::microseconds{150'000},
                                        std::chrono::microseconds{2'000'000}, false};
/// Who was frozen for it runs again when there was no danger for so long.
constexpr MonotonicNs kCalmFor = 30 * kSecond;
/// A group that was taken away is looked for again after so long, and then as often.
constexpr MonotonicNs kReopenAfter = 5 * kSecond;
constexpr MonotonicNs kComplainEvery = 60 * kSecond;
/// Before whatever else panald does.
constexpr int kNice = -10;

const char* word(Danger danger) {
  switch (danger) {
    case Danger::kNone: return "none";
    case Danger::kTight: return "tight";
    case Danger::kStalled: return "stalled";
    case Danger::kCritical: return "critical";
  }
  return "none";
}

}  // namespace

Result<std::unique_ptr<Rescuer>> Rescuer::open(Parts parts) {
  std::unique_ptr<Rescuer> one(new Rescuer(std::move(parts)));
  PANAL_TRY(one->open_places());
  one->wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!one->wake_) return fail_errno("open", "an event descriptor");
  one->open_trigger();
  one->thread_ = std::thread([self = one.get()] { self->loop(); });
  return one;
}

Rescuer::~Rescuer() {
  if (!thread_.joinable()) return;
  const std::uint64_t end = 1;
  // It cannot be full: it is written to once.
  (void)!::write(wake_.get(), &end, sizeof end);
  thread_.join();
}

/// The host, the desktops' parent group, and whatever is above it: a limit there ends them too.
Result<void> Rescuer::open_places() {
  PANAL_ASSIGN(auto groups, enclosing_groups(parts_.cgroups, parts_.cgroup_parent));
  places_.clear();
  places_.push_back({"the host", std::nullopt});
  for (kernel::Cgroup& group : groups)
    places_.push_back({"group " + group.path(), std::move(group)});
  return {};
}

/// The parent's; the host's where groups have no pressure of their own (pure v1).
void Rescuer::open_trigger() {
  constexpr auto kMemory = kernel::PressureResource::kMemory;
  auto trigger = places_.back().group->pressure_trigger(kMemory, kWaiting);
  if (!trigger) trigger = kernel::PsiTrigger::open_host(parts_.tree, kMemory, kWaiting);
  if (trigger) {
    trigger_.emplace(std::move(*trigger));
    by_event_ = true;
    return;
  }
  // The clock is enough, if later.
  parts_.log->info("last_resort", {{"trigger", "none"}, {"why", trigger.error().message()}});
}

void Rescuer::reopen(MonotonicNs now_ns) {
  if (reopen_at_ns_ == 0 || now_ns < reopen_at_ns_) return;
  reopen_at_ns_ = now_ns + kReopenAfter;
  if (!open_places()) return;  // not yet
  reopen_at_ns_ = 0;
  counters_.clear();
  open_trigger();
}

void Rescuer::loop() {
  // Of this thread alone. Where it is refused it waits its turn.
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
  for (;;) {
    const std::uint64_t begun = thread_cpu_ns();
    reopen(monotonic_ns());
    int pause_ms = look();
    {
      const std::lock_guard lock(mutex_);
      ++totals_.looks;
      totals_.cpu_ns += thread_cpu_ns() - begun;
    }
    pollfd waits[] = {{wake_.get(), POLLIN, 0}, {trigger_ ? trigger_->fd() : -1, POLLPRI, 0}};
    const int ready = ::poll(waits, 2, pause_ms);
    if (ready > 0 && waits[0].revents != 0) return;
    if (ready <= 0 || waits[1].revents == 0) continue;
    if ((waits[1].revents & POLLERR) != 0) {
      trigger_.reset();  // the group was taken away
      by_event_ = false;
      reopen_at_ns_ = monotonic_ns() + kReopenAfter;
      continue;
    }
    const std::lock_guard lock(mutex_);
    ++totals_.events;
  }
}

std::optional<policy::DangerInput> Rescuer::waiting_since(MonotonicNs now_ns) {
  const auto vm = kernel::read_vmstat(parts_.tree);
  if (!vm) return std::nullopt;
  Counters now{static_cast<std::uint64_t>(now_ns),  0,         vm->scan,
               vm->refault_anon + vm->refault_file, vm->steal, false};
  auto pressure = places_.back().group->pressure(kernel::PressureResource::kMemory);
  if (!pressure) {
    now.of_host = true;
    pressure = kernel::read_host_pressure(parts_.tree, kernel::PressureResource::kMemory);
  }
  if (pressure && pressure->full) now.full_us = pressure->full->total_us;
  if (!counters_.empty() && counters_.back().of_host != now.of_host) counters_.clear();
  while (counters_.size() > 1 &&
         now.at_ns - counters_[1].at_ns >= static_cast<std::uint64_t>(kCountersOver))
    counters_.pop_front();
  policy::DangerInput input;
  if (!counters_.empty()) {
    const Counters& then = counters_.front();
    // Looks may follow each other at once when the kernel calls.
    const std::uint64_t span =
        std::max(policy::grown(then.at_ns, now.at_ns), static_cast<std::uint64_t>(kCountersOver));
    input.memory_full_share =
        policy::real(policy::grown(then.full_us, now.full_us)) * 1000 / policy::real(span);
    input.scanned_pages = policy::grown(then.scanned, now.scanned);
    input.refault_pages = policy::grown(then.refaults, now.refaults);
    input.reclaimed_pages = policy::grown(then.taken, now.taken);
  }
  counters_.push_back(now);
  return input;
}

Result<Rescuer::Sight> Rescuer::tightest() const {
  PANAL_ASSIGN(const HostMemory host, kernel::read_meminfo(parts_.tree));
  PANAL_ASSIGN(const ZramStatistics zram, kernel::read_zram(parts_.tree));
  policy::SwapRoom swap = policy::swap_room(host, zram);
  Sight sight;
  sight.limit_bytes = host.total;
  for (const Place& place : places_) {
    policy::Headroom room = policy::host_headroom(host, parts_.reserve_bytes);
    if (place.group) {
      PANAL_ASSIGN(const GroupUsage usage, place.group->statistics());
      if (!usage.memory) continue;
      swap.bytes = std::min(swap.bytes, usage.memory->swap_left_bytes);  // of all below it too
      room = policy::group_headroom(*usage.memory, swap);
      sight.limit_bytes = std::min(sight.limit_bytes, usage.memory->end_bytes());
    }
    if (sight.place.empty() || room.available_bytes < sight.least.available_bytes)
      sight.least = room;
    if (!sight.place.empty() && room.reserves() >= sight.room.reserves()) continue;
    sight.place = place.name;
    sight.room = room;
  }
  return sight;
}

Result<Rescuer::Sight> Rescuer::see() {
  PANAL_ASSIGN(Sight sight, tightest());
  // A full node is always short of many reserves: that alone is no reason to look at each desktop.
  sight.wary = sight.room.reserves() < kNearReserves;
  sight.near = sight.least.available_bytes <
               std::max(kNearBytes, parts_.desktop_bytes + sight.least.reserve_bytes);
  policy::DangerInput input;
  if (const auto waiting = waiting_since(monotonic_ns())) input = *waiting;
  input.available_bytes = sight.room.available_bytes;
  input.reserve_bytes = sight.room.reserve_bytes;
  sight.full_share = input.memory_full_share;
  sight.danger = policy::danger_of(input);
  return sight;
}

int Rescuer::look() {
  const auto sight = see();
  if (!sight) {
    if (!sight.error().is_gone())
      complain("see", sight.error());
    else if (reopen_at_ns_ == 0)
      reopen_at_ns_ = monotonic_ns() + kReopenAfter;
    return kCalmMs;
  }
  std::vector<RescueDesk> desks;
  policy::LastResortInput input;
  if (sight->near || sight->danger != Danger::kNone) {
    desks = parts_.hands.rescue_desks();
    forget_gone(desks);
    Fences::Charges charges = Fences::charges(desks);
    const auto now = tightest();
    const Sight& later = now ? *now : *sight;
    input.desktops = measure(desks, *sight, charges);
    fences_.update(desks, charges, later.least,
                   later.limit_bytes / std::max<std::size_t>(1, desks.size()), monotonic_ns());
  } else {
    fences_.lift();
    earlier_.clear();
    losses_.clear();  // they are of fenced ones
    if (!killed_processes().empty()) forget_gone(parts_.hands.rescue_desks());
  }
  input.at_ns = monotonic_ns();
  if (sight->danger != Danger::kNone) danger_at_ns_ = input.at_ns;
  if (froze_ && input.at_ns - danger_at_ns_ > kCalmFor) {
    parts_.hands.let_go();
    froze_ = false;
  }
  if (sight->danger < Danger::kStalled)
    earlier_processes_.clear();
  else if (!hold_worst(input.desktops, desks))
    return kDangerMs;
  input.danger = sight->danger;
  input.memory_full_share = sight->full_share;
  const LastResortDecision decision = resorts_.decide(input);
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    changed = sight_.danger != sight->danger;
    sight_ = *sight;
    fenced_ = fences_.count();
    totals_.fences = fences_.raised();
    closed_.reset();
    if (decision.admission_closed) closed_ = "memory is short: " + words(*sight);
    if (decision.step != LastResort::kNone) ++totals_.steps[std::string(to_string(decision.step))];
  }
  if (changed)
    parts_.log->info("memory_danger", {{"is", word(sight->danger)}, {"room", words(*sight)}});
  act(decision, *sight, input.desktops, desks);
  held_.clear();
  if (sight->danger != Danger::kNone) return kDangerMs;
  if (!sight->near) return sight->wary ? kWaryMs : kCalmMs;
  return std::clamp(static_cast<int>(desks.size()) * kNearMsEach, kNearMs, kCalmMs);
}

std::string Rescuer::words(const Sight& sight) {
  return fmt::format(
      "{} MiB are left to {} ({} MiB should be), all waited for memory {:.0f} % of "
      "the last second",
      sight.room.available_bytes / kMib, sight.place, sight.room.reserve_bytes / kMib,
      100 * std::min(1.0, sight.full_share));
}

void Rescuer::complain(const char* step, const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    ++totals_.errors;
  }
  const MonotonicNs now = monotonic_ns();
  if (complained_at_ns_ != 0 && now - complained_at_ns_ < kComplainEvery) return;
  complained_at_ns_ = now;
  parts_.log->warning("last_resort", {{"step", step}, {"why", error.message()}});
}

std::optional<std::string> Rescuer::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

std::optional<std::string> Rescuer::killed(DesktopId id) {
  const std::lock_guard lock(mutex_);
  const auto found = killed_.find(id);
  if (found == killed_.end()) return std::nullopt;
  std::string why = std::move(found->second);
  killed_.erase(found);
  return why;
}

void Rescuer::started(DesktopId id, const Limits& at_start) {
  {
    const std::lock_guard lock(mutex_);
    killed_.erase(id);
    killed_processes_.erase(id);
  }
  const auto group =
      kernel::Cgroup::open(parts_.cgroups, parts_.cgroup_parent + "/" + kernel_name(id));
  if (!group) return;
  if (auto set = restore_start_limits(*group, at_start); !set && !set.error().is_gone())
    parts_.log->warning("last_resort", {{"step", "limits"}, {"why", set.error().message()}});
}

std::map<DesktopId, std::uint64_t> Rescuer::killed_processes() const {
  const std::lock_guard lock(mutex_);
  return killed_processes_;
}

json Rescuer::report() const {
  const std::lock_guard lock(mutex_);
  return {{"danger", word(sight_.danger)},
          {"nearest", sight_.place},
          {"available_bytes", sight_.room.available_bytes},
          {"reserve_bytes", sight_.room.reserve_bytes},
          {"closed", closed_.value_or("")},
          {"fenced", fenced_},
          {"fences", totals_.fences},
          {"steps", totals_.steps},
          {"killed_processes", totals_.killed_processes},
          {"killed_desktops", totals_.killed_desktops},
          {"last_kills", last_kills_},
          {"by_event", by_event_.load()},
          {"events", totals_.events},
          {"looks", {{"count", totals_.looks}, {"cpu_ns", totals_.cpu_ns}}},
          {"errors", totals_.errors}};
}

}  // namespace panal::optimiser
