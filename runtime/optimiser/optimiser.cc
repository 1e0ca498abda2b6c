#include "runtime/optimiser/optimiser.h"

#include <algorithm>
#include <utility>

#include "engine/policy/units.h"
#include "runtime/optimiser/ksmd.h"
#include "runtime/optimiser/taker_choice.h"

namespace panal::optimiser {

using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {

/// Swapped out, as last read, so that a user who returns would wait for it: some 10 ms.
constexpr std::uint64_t kSwappedWorthAWake = policy::kMib;

/// Who is at work has what is needed in memory, whoever takes the desktop over.
bool is_swapped(const Desk& desk) {
  const auto& memory = desk.last.usage.memory;
  return !desk.session.connected && memory && memory->swap_bytes >= kSwappedWorthAWake;
}

}  // namespace

MonotonicNs monotonic_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             steady_clock::now().time_since_epoch())
      .count();
}

Optimiser::Optimiser(Parts parts, Settings settings)
    : parts_(std::move(parts)),
      settings_(std::move(settings)),
      ksm_keeper_(parts_.tree, parts_.saved_ksm_file, parts_.machine_lock_file),
      governor_(settings_.ksm),
      shaver_(settings_.shaver),
      taker_(probed_or_chosen_taker(parts_.trials, parts_.tree, parts_.cgroups,
                                    parts_.cgroup_parent, parts_.log)),
      monitor_taker_(make_taker("madvise", parts_.tree)),
      hot_(parts_.tree, parts_.hot_directory),
      ksmd_(find_ksmd(parts_.tree)) {}

Result<std::unique_ptr<Optimiser>> Optimiser::open(Parts parts, Settings settings) {
  std::unique_ptr<Optimiser> one(new Optimiser(std::move(parts), std::move(settings)));
  // Desktops are served whatever became of KSM's settings.
  if (auto recovered = one->ksm_keeper_.recover(); !recovered) {
    one->complain("recover_ksm", recovered.error());
    if (one->ksm_keeper_.taken_over())
      one->ksm_taken_over_ = one->settings_.governs_ksm();  // until its governor ends
    else
      one->settings_.enlist = Enlist::kNobody;
  } else if (!one->settings_.governs_ksm()) {
    // A node that does not govern KSM any more puts back what a former panald changed.
    if (auto restored = one->ksm_keeper_.restore(); !restored)
      one->complain("restore_ksm", restored.error());
  }
  one->decider_ = std::thread([self = one.get()] { self->decide_loop(); });
  one->hand_ = std::thread([self = one.get()] { self->take_loop(); });
  one->waker_ = std::thread([self = one.get()] { self->wake_loop(); });
  return one;
}

Optimiser::~Optimiser() {
  std::vector<DeskPtr> desks;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    somebody_waits_ = true;  // and whoever fetches
    for (const auto& [id, desk] : desks_) {
      desk->wanted = true;  // whoever takes stops
      desks.push_back(desk);
    }
  }
  ticked_.notify_all();
  jobs_came_.notify_all();
  waking_came_.notify_all();
  for (std::thread* thread : {&decider_, &hand_, &waker_})
    if (thread->joinable()) thread->join();
  for (const Waking& one : waking_) one.done();
  for (const DeskPtr& desk : desks)
    if (desk->frozen)
      if (auto thawed = desk->group.thaw(); !thawed) complain("thaw", thawed.error());
  if (auto restored = ksm_keeper_.restore(); !restored) complain("restore_ksm", restored.error());
}

void Optimiser::complain(const char* what, const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    ++totals_.errors;
    ++totals_.errors_by_step[what];
    auto& last = complained_[what];
    const auto now = steady_clock::now();
    if (last != steady_clock::time_point{} && now - last < seconds(60)) return;
    last = now;
  }
  parts_.log->warning("optimiser", {{"step", what}, {"why", error.message()}});
}

DeskPtr Optimiser::find(DesktopId id) const {
  const std::lock_guard lock(mutex_);
  const auto found = desks_.find(id);
  return found == desks_.end() ? nullptr : found->second;
}

void Optimiser::not_started(DesktopId id) {
  const std::lock_guard lock(mutex_);
  places_.not_started(id);
}

void Optimiser::started(DesktopId id, const MergeDomainId& domain, bool enlisted, bool heard) {
  auto group = kernel::Cgroup::open(parts_.cgroups, parts_.cgroup_parent + "/" + kernel_name(id));
  if (!group) return complain("open_group", group.error());
  auto desk = std::make_shared<Desk>(id, std::move(*group));
  desk->enlisted = enlisted;
  desk->session.told_at_ns = monotonic_ns();
  // Whoever stands has nobody there: it would have been thawed for him.
  desk->unheard = !heard && !desk->group.asked_to_freeze().value_or(false);
  desk->last.session = desk->unheard ? SessionClass::kActive : SessionClass::kDisconnected;
  if (desk->unheard) desk->awake_until_ns = desk->session.told_at_ns + kUnheardNs;
  desk->last.session_since_ns = desk->session.told_at_ns;
  // One that a former panald froze: only we know when to thaw it, so it starts anew.
  if (auto thawed = desk->group.thaw(); !thawed) complain("thaw", thawed.error());
  const std::lock_guard lock(mutex_);
  desk->passes_at_start = host_.ksm ? host_.ksm->full_scans_total : 0;
  if (enlisted) ++enlisted_starts_;
  places_.started(id, domain, enlisted);
  desks_[id] = std::move(desk);
}

void Optimiser::ended(DesktopId id) {
  {
    const std::lock_guard lock(mutex_);
    places_.ended(id);
    const auto found = desks_.find(id);
    if (found != desks_.end()) {
      found->second->wanted = true;
      desks_.erase(found);
    }
  }
  // After that: what the waker keeps until then goes with it, and later the waker sees that it is
  // gone.
  hot_.forget(id);
}

void Optimiser::session(DesktopId id, bool connected, std::uint64_t idle_ms) {
  const std::lock_guard lock(mutex_);
  const auto found = desks_.find(id);
  if (found == desks_.end()) return;
  Desk& desk = *found->second;
  desk.session = SessionView{connected, idle_ms, monotonic_ns()};
  const bool first_word = std::exchange(desk.unheard, false);
  if (!connected) {
    if (first_word) desk.awake_until_ns = 0;
    desk.record_at_ns = 0;
    desk.watching = {};
    return;
  }
  if (std::exchange(desk.woken, false))
    desk.record_at_ns = desk.session.told_at_ns + kRecordAfterNs;
  desk.awake_until_ns = 0;
  // Back at the keyboard: whoever takes its memory stops now, not at the next look.
  if (std::chrono::milliseconds{idle_ms} < settings_.idle_after) desk.wanted = true;
}

void Optimiser::wake(DesktopId id, std::function<void()> done) {
  DeskPtr desk;
  {
    const std::lock_guard lock(mutex_);
    const auto found = desks_.find(id);
    if (found != desks_.end() && !ending_) {
      desk = found->second;
      desk->wanted = true;
      desk->awake_until_ns = monotonic_ns() + kAwakeNs;
      desk->unheard = false;  // somebody is about to be there
      desk->limits_due = true;
      if (std::erase_if(jobs_, [this, &desk](const Job& job) {
            if (job.desk != desk) return false;
            if (job.bytes > 0) ++totals_.steps_dropped["came_back"];
            if (job.freeze) ++totals_.freezes_refused["came_back"];
            return true;
          }) > 0)
        desk->busy = false;
      const bool was_taken = desk->frozen || desk->busy || desk->taken_bytes > 0;
      if (was_taken || is_swapped(*desk)) {
        waking_.push_back({desk, std::move(done), was_taken});
        somebody_waits_ = true;
        waking_came_.notify_one();
        return;
      }
      ++totals_.wakes_at_once;
    }
  }
  // All is in memory: but its share of the CPU is still that of somebody who is away.
  if (desk) set_limits(desk, SessionClass::kActive);
  done();
}

bool Optimiser::treat(DesktopId id, const Treatment& treatment) {
  const DeskPtr desk = find(id);
  if (!desk) return false;
  const std::lock_guard lock(mutex_);
  desk->treatment = treatment;
  return true;
}

void Optimiser::thaw(DesktopId id) {
  const DeskPtr desk = find(id);
  if (!desk) return;
  {
    const std::lock_guard lock(mutex_);
    desk->wanted = true;
    desk->awake_until_ns = INT64_MAX;
    desk->unheard = false;
  }
  thaw_now(*desk);
}

/// A worker that freezes it just now looks again when it is done, and thaws it then.
void Optimiser::thaw_now(Desk& desk) {
  const auto begun = steady_clock::now();
  const auto thawed = desk.group.thaw();
  const std::lock_guard lock(mutex_);
  if (thawed || thawed.error().is_gone()) {
    if (!std::exchange(desk.frozen, false)) return;
    ++totals_.thaws;
    totals_.thawing.add(steady_clock::now() - begun);
    return;
  }
  ++totals_.errors;  // it is tried again: it still counts as frozen
  ++totals_.errors_by_step["thaw"];
  parts_.log->warning("optimiser", {{"step", "thaw"}, {"why", thawed.error().message()}});
}

}  // namespace panal::optimiser
