#include "runtime/optimiser/optimiser.h"

#include <algorithm>
#include <utility>

#include "engine/kernel/host_snapshot.h"
#include "engine/policy/units.h"
#include "runtime/optimiser/class_limits.h"
#include "runtime/optimiser/ksmd.h"
#include "runtime/optimiser/memory_fetcher.h"

namespace panal::optimiser {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {

constexpr seconds kTick{1};
/// Each desktop is looked at once in this time when nothing is done with it.
constexpr std::int64_t kLookEvery = 60;
using policy::kSecond;
/// A round of taking back; the shaver's steps are meant for a few seconds.
constexpr MonotonicNs kRoundEvery = 6 * kSecond;
/// Who gives nothing just now is read less often than the rounds are.
constexpr MonotonicNs kRefreshAfter = 20 * kSecond;
/// A worker does not stay with one desktop for longer.
constexpr milliseconds kLongestTake{2000};
/// Limits that are above what a desktop uses follow it down this often.
constexpr MonotonicNs kLimitsAgain = 10 * kSecond;
/// One that cannot be frozen (a process in an uninterruptible sleep) is let alone for a while.
constexpr milliseconds kFreezeTimeout{500};
constexpr MonotonicNs kFreezeAgain = 10 * 60 * kSecond;
/// What the user waits for before the link opens, and what comes after that.
constexpr milliseconds kDisplayPatience{60};
constexpr milliseconds kRestPatience{1500};
/// The first frame has come by then, and nothing that the user opens.
constexpr MonotonicNs kRecordAfter = 3 * kSecond;
constexpr milliseconds kRecordPatience{300};
/// How long a desktop that is being woken counts as active before its client has to be there.
constexpr MonotonicNs kAwake = 60 * kSecond;
constexpr std::uint64_t kPassesToSettle = 2;

/// Pages that came back soon after they were taken, between two looks.
std::uint64_t refaults(const GroupUsage& before, const GroupUsage& now) {
  if (!before.memory || !now.memory) return 0;
  return policy::grown(before.memory->refault_anon_pages, now.memory->refault_anon_pages) +
         policy::grown(before.memory->refault_file_pages, now.memory->refault_file_pages);
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
      ksm_keeper_(parts_.tree, parts_.saved_ksm_file),
      governor_(settings_.ksm),
      shaver_(settings_.shaver),
      taker_(choose_taker(parts_.tree, parts_.cgroups, parts_.cgroup_parent)),
      hot_(parts_.tree, parts_.hot_directory),
      ksmd_(find_ksmd(parts_.tree)) {}

Result<std::unique_ptr<Optimiser>> Optimiser::open(Parts parts, Settings settings) {
  std::unique_ptr<Optimiser> one(new Optimiser(std::move(parts), std::move(settings)));
  // Desktops are served whatever became of KSM's settings.
  if (auto recovered = one->ksm_keeper_.recover(); !recovered) {
    one->complain("recover_ksm", recovered.error());
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

bool Optimiser::enlist(DesktopId id, const std::string& tenant) {
  const std::lock_guard lock(mutex_);
  const auto refuse = [this](const char* why) {
    ++totals_.enlist_refused[why];
    return false;
  };
  if (settings_.enlist != Enlist::kAll) return refuse("not_allowed");
  release_gone_places();
  for (const auto& [other, place] : enlisted_)
    if (other != id && place.tenant != tenant) return refuse("other_tenant");
  enlisted_[id] = {tenant, false};
  ++totals_.enlisted;
  return true;
}

/// A desktop that is being stopped has its processes, and their merged pages, for some time.
void Optimiser::release_gone_places() {
  std::erase_if(enlisted_, [this](const auto& entry) {
    return entry.second.leaving &&
           !kernel::Cgroup::open(parts_.cgroups,
                                 parts_.cgroup_parent + "/" + kernel_name(entry.first));
  });
}

void Optimiser::not_started(DesktopId id) {
  const std::lock_guard lock(mutex_);
  const auto found = enlisted_.find(id);
  if (found != enlisted_.end() && !desks_.contains(id)) found->second.leaving = true;
}

void Optimiser::started(DesktopId id, const std::string& tenant, bool enlisted) {
  auto group = kernel::Cgroup::open(parts_.cgroups, parts_.cgroup_parent + "/" + kernel_name(id));
  if (!group) return complain("open_group", group.error());
  auto desk = std::make_shared<Desk>(id, std::move(*group));
  desk->enlisted = enlisted;
  desk->session.told_at_ns = monotonic_ns();
  desk->last.session = SessionClass::kDisconnected;
  desk->last.session_since_ns = desk->session.told_at_ns;
  // One that a former panald froze: only we know when to thaw it, so it starts anew.
  if (auto thawed = desk->group.thaw(); !thawed) complain("thaw", thawed.error());
  const std::lock_guard lock(mutex_);
  desk->passes_at_start = host_.ksm ? host_.ksm->full_scans_total : 0;
  if (enlisted) {
    ++enlisted_starts_;
    enlisted_[id] = {tenant, false};
  } else {
    enlisted_.erase(id);
  }
  desks_[id] = std::move(desk);
}

void Optimiser::ended(DesktopId id) {
  hot_.forget(id);
  const std::lock_guard lock(mutex_);
  if (const auto place = enlisted_.find(id); place != enlisted_.end()) place->second.leaving = true;
  const auto found = desks_.find(id);
  if (found == desks_.end()) return;
  found->second->wanted = true;
  desks_.erase(found);
}

void Optimiser::session(DesktopId id, bool connected, std::uint64_t idle_ms) {
  const std::lock_guard lock(mutex_);
  const auto found = desks_.find(id);
  if (found == desks_.end()) return;
  Desk& desk = *found->second;
  desk.session = SessionView{connected, idle_ms, monotonic_ns()};
  if (!connected) {
    desk.record_at_ns = 0;
    return;
  }
  if (std::exchange(desk.woken, false)) desk.record_at_ns = desk.session.told_at_ns + kRecordAfter;
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
      desk->awake_until_ns = monotonic_ns() + kAwake;
      desk->limits_due = true;
      if (std::erase_if(jobs_, [this, &desk](const Job& job) {
            if (job.desk != desk) return false;
            if (job.bytes > 0) ++totals_.steps_dropped["came_back"];
            if (job.freeze) ++totals_.freezes_refused["came_back"];
            return true;
          }) > 0)
        desk->busy = false;
      if (desk->frozen || desk->busy || desk->taken_bytes > 0) {
        waking_.push_back({desk, std::move(done)});
        somebody_waits_ = true;
        waking_came_.notify_one();
        return;
      }
      ++totals_.wakes_at_once;
    }
  }
  // Nothing was taken: but its share of the CPU is still that of somebody who is away.
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

// --- deciding -----------------------------------------------------------------------------------

void Optimiser::decide_loop() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    tick();
    lock.lock();
    ticked_.wait_for(lock, kTick, [this] { return ending_; });
  }
}

void Optimiser::tick() {
  const std::uint64_t begun = thread_cpu_ns();
  auto host = kernel::read_host_snapshot(parts_.tree, ksmd_ ? &*ksmd_ : nullptr);
  if (!host) return complain("read_host", host.error());
  classify(host->at_ns);
  look_at_desks(host->at_ns);
  if (settings_.governs_ksm()) govern_ksm(*host);
  const bool rounds = settings_.shave || settings_.shaver.freeze_after_ns > 0;
  if (rounds && host->at_ns - last_round_ns_ >= kRoundEvery) shave_round(*host);
  const std::lock_guard lock(mutex_);
  host_ = std::move(*host);
  ++totals_.looks;
  totals_.look_cpu_ns += thread_cpu_ns() - begun;
}

void Optimiser::classify(MonotonicNs now_ns) {
  std::vector<std::pair<DeskPtr, SessionClass>> changed;
  std::vector<DeskPtr> asleep;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, desk] : desks_) {
      const bool being_woken = now_ns < desk->awake_until_ns;
      SessionClass fresh = class_of(desk->session, desk->frozen, settings_.idle_after, now_ns);
      if (being_woken) fresh = SessionClass::kActive;
      if (fresh != SessionClass::kActive && !ending_) desk->wanted = false;
      // Nobody may find a frozen desktop, however it came to be.
      if (desk->frozen && !desk->busy && (desk->session.connected || being_woken))
        asleep.push_back(desk);
      if (desk->record_at_ns > 0 && now_ns >= desk->record_at_ns) {
        desk->record_at_ns = 0;
        records_.push_back(desk);
        waking_came_.notify_one();
      }
      const bool again = desk->limits_again_at_ns != 0 && now_ns >= desk->limits_again_at_ns;
      if (fresh == desk->last.session && !desk->limits_due && !again) continue;
      if (fresh != desk->last.session) {
        desk->last.session_since_ns = now_ns;
        ++totals_.class_changes[index_of(desk->last.session)][index_of(fresh)];
      }
      desk->last.session = fresh;
      desk->limits_due = false;
      changed.emplace_back(desk, fresh);
    }
  }
  for (const DeskPtr& desk : asleep) thaw_now(*desk);
  for (const auto& [desk, fresh] : changed) set_limits(desk, fresh);
}

void Optimiser::set_limits(const DeskPtr& desk, SessionClass session) {
  const auto limits = settings_.limits.find(session);
  if (limits == settings_.limits.end()) return;
  const auto set = set_class_limits(desk->group, limits->second);
  if (!set) return;  // it is gone
  {
    const std::lock_guard lock(mutex_);
    ++totals_.limits_set[index_of(session)];
    desk->limits_again_at_ns = set->complete ? 0 : monotonic_ns() + kLimitsAgain;
    desk->limits_refused = set->refused;
    const bool told = !desk->limits_wait.empty() || set->complete;
    desk->limits_wait = set->why;
    if (!told)
      parts_.log->info("class_limits", {{"desktop", kernel_name(desk->id)}, {"why", set->why}});
  }
  if (!set->refused.empty()) complain("set_limits", {0, set->refused});
}

void Optimiser::read(const DeskPtr& desk) {
  auto usage = desk->group.statistics();
  auto pressure = desk->group.pressures();
  if (!usage || !pressure) {
    const Error& error = usage ? pressure.error() : usage.error();
    if (!error.is_gone()) complain("read_desktop", error);
    return;
  }
  const std::lock_guard lock(mutex_);
  desk->last.at_ns = monotonic_ns();
  if (desk->taken_bytes > 0) totals_.refaulted_pages += refaults(desk->last.usage, *usage);
  desk->last.usage = std::move(*usage);
  desk->last.pressure = *pressure;
}

void Optimiser::look_at_desks(MonotonicNs now_ns) {
  std::vector<DeskPtr> due;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, desk] : desks_) due.push_back(desk);
    const auto oldest = [](const DeskPtr& a, const DeskPtr& b) {
      return a->last.at_ns < b->last.at_ns;
    };
    const std::size_t share = (due.size() + kLookEvery - 1) / kLookEvery;
    // New ones at once, however many.
    const auto fresh = static_cast<std::size_t>(std::count_if(
        due.begin(), due.end(), [](const DeskPtr& desk) { return desk->last.at_ns == 0; }));
    const std::size_t most = std::min(due.size(), std::max(share, fresh));
    std::partial_sort(due.begin(), due.begin() + static_cast<std::ptrdiff_t>(most), due.end(),
                      oldest);
    due.resize(most);
    std::erase_if(due, [&](const DeskPtr& desk) {
      return now_ns - desk->last.at_ns < kLookEvery * kSecond / 2;
    });
  }
  for (const DeskPtr& desk : due) read(desk);
}

std::uint64_t Optimiser::anon_of_all() {
  if (!all_) {
    auto group = kernel::Cgroup::open(parts_.cgroups, parts_.cgroup_parent);
    if (!group) return 0;  // nothing has started yet
    all_.emplace(std::move(*group));
  }
  const auto usage = all_->statistics();
  if (!usage) all_.reset();  // it may have been made anew
  return usage && usage->memory ? usage->memory->anon_bytes : 0;
}

void Optimiser::govern_ksm(const Snapshot& host) {
  if (!host.ksm) return;
  policy::KsmSample sample = policy::ksm_sample_of(host);
  // What is known of each desktop may be a minute old, and new ones grow: that of all is read now.
  const std::uint64_t all = anon_of_all();
  {
    const std::lock_guard lock(mutex_);
    sample.enlisted_starts_total = enlisted_starts_;
    std::uint64_t others = 0;
    for (const auto& [id, desk] : desks_) {
      if (desk->enlisted)
        ++sample.enlisted_desktops;
      else if (desk->last.usage.memory)
        others += desk->last.usage.memory->anon_bytes;
    }
    if (sample.enlisted_desktops > 0) sample.enlisted_bytes = policy::less(all, others);
    // The charge counts a merged page once.
    sample.enlisted_bytes += host.ksm->pages_sharing * policy::kPageBytes;
  }
  const KsmDecision decision = governor_.decide(sample);
  if (auto applied = ksm_keeper_.apply(decision, settings_.use_zero_pages); !applied)
    complain("write_ksm", applied.error());
  const std::lock_guard lock(mutex_);
  ksm_sample_ = sample;
  if (decision != ksm_decision_) ++totals_.ksm_changes;
  ksm_decision_ = decision;
}

bool Optimiser::may_be_taken(const GroupSnapshot& desktop, MonotonicNs now_ns) const {
  const auto after = settings_.shave_after.find(desktop.session);
  if (after == settings_.shave_after.end()) return true;
  return after->second.count() > 0 &&
         std::chrono::nanoseconds{now_ns - desktop.session_since_ns} >= after->second;
}

void Optimiser::shave_round(const Snapshot& host) {
  policy::ShaveInput input;
  input.memory = host.memory;
  input.zram = host.zram;
  std::vector<DeskPtr> desks, refresh;
  {
    const std::lock_guard lock(mutex_);
    if (!jobs_.empty()) return;  // the last round is still being carried out
    last_round_ns_ = host.at_ns;
    for (const auto& [id, desk] : desks_) {
      if (desk->busy) return;
      desks.push_back(desk);
      // Deltas are reckoned by the round, so who may be taken from is read each round.
      if (desk->last.session != SessionClass::kActive && may_be_taken(desk->last, host.at_ns) &&
          (desk->verdict.bytes > 0 || host.at_ns - desk->last.at_ns > kRefreshAfter))
        refresh.push_back(desk);
    }
    if (totals_.take_cpu_ns > 0)
      input.bytes_per_cpu_second =
          static_cast<double>(totals_.taken_bytes) * 1e9 / static_cast<double>(totals_.take_cpu_ns);
  }
  for (const DeskPtr& desk : refresh) read(desk);
  input.at_ns = monotonic_ns();
  const std::lock_guard lock(mutex_);
  const std::uint64_t passes = host.ksm ? host.ksm->full_scans_total : 0;
  for (const DeskPtr& desk : desks) {
    policy::ShaveDesktop one = policy::shave_desktop_of(desk->last);
    one.ksm_settled = !desk->enlisted || passes >= desk->passes_at_start + kPassesToSettle;
    // Wishes that nobody carries out must not be taken for ones that gave nothing.
    if (!settings_.shave || desk->treatment.spared || !may_be_taken(desk->last, input.at_ns))
      one.anon_bytes = one.file_bytes = 0;
    // The advising kind takes no page cache.
    if (taker_->name() == "madvise") one.file_bytes = 0;
    input.desktops.push_back(one);
  }
  const auto verdicts = shaver_.decide(input);
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    const ShaveDecision& verdict = verdicts[i];
    desks[i]->verdict = verdict;
    const bool may = settings_.shave && may_be_taken(desks[i]->last, input.at_ns);
    // What was hidden from the shaver looks to it as if there were nothing.
    const bool too_soon = !may && verdict.reason == ShaveReason::kAtFloor;
    ++totals_.verdicts[std::string(too_soon ? kTooSoon : to_string(verdict.reason))];
    const bool failed_lately = input.at_ns < desks[i]->not_frozen_before_ns;
    const bool freeze =
        verdict.freeze && !desks[i]->frozen && !failed_lately && !desks[i]->treatment.spared;
    if (verdict.freeze && !desks[i]->frozen && failed_lately)
      ++totals_.freezes_refused["failed_lately"];
    const bool take = verdict.bytes > 0 && may;
    if (!take) desks[i]->verdict.bytes = 0;
    if (!take && !freeze) continue;
    // Somebody came while we looked.
    if (desks[i]->wanted || input.at_ns < desks[i]->awake_until_ns) {
      if (take) ++totals_.steps_dropped["came_back"];
      if (freeze) ++totals_.freezes_refused["came_back"];
      continue;
    }
    desks[i]->busy = true;
    jobs_.push_back({desks[i], take ? verdict.bytes : 0, freeze, desks[i]->last.session});
  }
  jobs_came_.notify_one();
}

// --- taking -------------------------------------------------------------------------------------

void Optimiser::take_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    jobs_came_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (ending_) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    take(job);
    lock.lock();
    job.desk->busy = false;
    waking_came_.notify_one();
  }
}

void Optimiser::take(const Job& job) {
  Desk& desk = *job.desk;
  {
    const std::lock_guard lock(mutex_);
    const bool changed = desk.last.session != job.session;
    if (job.bytes > 0 && (changed || desk.wanted))
      ++totals_.steps_dropped[changed ? "class_changed" : "came_back"];
    if (changed && job.freeze) ++totals_.freezes_refused["class_changed"];
    if (changed) return;  // what was decided was about another state
  }
  if (job.bytes > 0 && !desk.wanted) {
    const TakeRequest request{job.bytes, steady_clock::now() + kLongestTake, &desk.wanted};
    const auto taken = taker_->take(desk.group, request, desk.cursor);
    if (!taken && !taken.error().is_gone()) complain("take", taken.error());
    const std::lock_guard lock(mutex_);
    if (!taken) {
      ++totals_.steps_dropped["failed"];
    } else {
      ++totals_.takes;
      totals_.asked_bytes += job.bytes;
      totals_.taken_bytes += taken->yield_bytes();
      totals_.take_cpu_ns += taken->cpu_ns;
      desk.taken_bytes += taken->yield_bytes();
    }
  }
  if (job.freeze) freeze(desk);
}

void Optimiser::freeze(Desk& desk) {
  {
    const std::lock_guard lock(mutex_);
    if (desk.wanted || desk.session.connected) {
      ++totals_.freezes_refused["came_back"];
      return;
    }
    desk.frozen = true;  // before it is: a waker that comes now thaws it
    ++totals_.freezes;
  }
  const auto begun = steady_clock::now();
  const auto frozen = desk.group.freeze(kFreezeTimeout);
  if (!frozen && !frozen.error().is_gone()) complain("freeze", frozen.error());
  bool stay = false;
  {
    const std::lock_guard lock(mutex_);
    // Somebody may have come, and thawed, while the kernel was still at it.
    stay = frozen && desk.frozen && !desk.wanted && !desk.session.connected;
    if (frozen) {
      totals_.freezing.add(steady_clock::now() - begun);
    } else {
      ++totals_.freezes_refused["failed"];
      desk.not_frozen_before_ns = monotonic_ns() + kFreezeAgain;
    }
  }
  if (!stay) thaw_now(desk);
}

// --- waking -------------------------------------------------------------------------------------

void Optimiser::wake_loop() {
  if (auto loaded = hot_.load(); !loaded) complain("load_hot", loaded.error());
  std::unique_lock lock(mutex_);
  while (true) {
    waking_came_.wait(lock, [this] {
      return ending_ || !waking_.empty() || !rests_.empty() || !records_.empty();
    });
    if (ending_) return;
    if (waking_.empty()) {
      auto& queue = rests_.empty() ? records_ : rests_;
      const DeskPtr desk = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      if (&queue == &records_) {
        record(desk);
        lock.lock();
        continue;
      }
      const bool complete = fetch(*desk, FetchPart::kRest, kRestPatience);
      lock.lock();
      // It gave way to somebody who waits.
      if (!complete && somebody_waits_) rests_.push_back(desk);
      continue;
    }
    const Waking waking = std::move(waking_.front());
    waking_.pop_front();
    somebody_waits_ = !waking_.empty();
    // The worker was told to stop; it is through with its system call in some ms.
    waking_came_.wait_for(lock, milliseconds(200),
                          [this, &waking] { return ending_ || !waking.desk->busy; });
    const double speed = totals_.fetch_cpu_ns > 0
                             ? static_cast<double>(totals_.fetched_bytes) * 1e9 /
                                   static_cast<double>(totals_.fetch_cpu_ns)
                             : 0;
    const Prefetch prefetch = waking.desk->treatment.prefetch;
    lock.unlock();
    waking.desk->plan = plan_wake(prefetch, hot_.find(waking.desk->id), speed);
    wake_now(waking);
    lock.lock();
    rests_.push_back(waking.desk);
  }
}

bool Optimiser::fetch(Desk& desk, FetchPart part, milliseconds patience) {
  const std::atomic<bool>* give_way = part == FetchPart::kRest ? &somebody_waits_ : nullptr;
  const auto fetched = optimiser::fetch(parts_.tree, desk.group, desk.plan, part,
                                        {steady_clock::now() + patience, give_way});
  if (!fetched) {
    if (!fetched.error().is_gone()) complain("fetch", fetched.error());
    return true;
  }
  const std::lock_guard lock(mutex_);
  totals_.fetched_bytes += fetched->bytes;
  totals_.fetch_cpu_ns += fetched->cpu_ns;
  return fetched->complete;
}

void Optimiser::wake_now(const Waking& waking) {
  Desk& desk = *waking.desk;
  const MonotonicNs begun = monotonic_ns();
  set_limits(waking.desk, SessionClass::kActive);
  // While it is frozen nothing of it fights for the CPU.
  (void)fetch(desk, FetchPart::kDisplay, kDisplayPatience);
  bool frozen = false;
  {
    const std::lock_guard lock(mutex_);
    frozen = desk.frozen;
    desk.awake_until_ns = std::max(desk.awake_until_ns, monotonic_ns() + kAwake);
    desk.limits_due = true;
    desk.taken_bytes = 0;
    if (!desk.busy) desk.cursor = TakeCursor{};
    desk.woken = true;
    ++totals_.wakes;
    if (desk.plan.hot) ++totals_.wakes_by_ranges;
    totals_.waited_ns += static_cast<std::uint64_t>(monotonic_ns() - begun);
  }
  if (frozen) thaw_now(desk);
  {
    const std::lock_guard lock(mutex_);
    totals_.waking.add(steady_clock::now() - waking.asked);
  }
  waking.done();
}

/// What is in memory some seconds after the user came back, of all that had been paged out.
void Optimiser::record(const DeskPtr& desk) {
  auto hot = record_hot(parts_.tree, desk->group,
                        {steady_clock::now() + kRecordPatience, &somebody_waits_});
  if (!hot) {
    if (!hot.error().is_gone()) complain("record_hot", hot.error());
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    totals_.record_cpu_ns += hot->cpu_ns;
    // Gave way, or too little was paged out: what was known before is better.
    if (!hot->tells() || !desks_.contains(desk->id)) return;
    ++totals_.records;
    totals_.hot_bytes += hot->hot_bytes;
    totals_.hot_ranges += hot->hot.ranges();
  }
  if (auto kept = hot_.keep(desk->id, std::move(hot->hot)); !kept)
    complain("keep_hot", kept.error());
}

}  // namespace panal::optimiser
