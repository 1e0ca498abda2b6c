#include "runtime/optimiser/optimiser.h"

#include <algorithm>
#include <set>

#include "engine/kernel/host_snapshot.h"
#include "engine/policy/units.h"
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
/// A worker does not stay with one desktop for longer.
constexpr milliseconds kLongestTake{2000};
constexpr milliseconds kFreezeTimeout{2000};
/// What the user waits for before the link opens, and what comes after that.
constexpr milliseconds kDisplayPatience{60};
constexpr milliseconds kRestPatience{1500};
/// How long a desktop that is being woken counts as active before its client has to be there.
constexpr MonotonicNs kAwake = 60 * kSecond;
constexpr std::uint64_t kPassesToSettle = 2;
constexpr std::uint64_t kPage = 4096;

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
      taker_(choose_taker(parts_.tree, parts_.cgroups)) {
  if (auto ksmd = kernel::Ksmd::find(parts_.tree)) ksmd_.emplace(std::move(*ksmd));
}

Result<std::unique_ptr<Optimiser>> Optimiser::open(Parts parts, Settings settings) {
  std::unique_ptr<Optimiser> one(new Optimiser(std::move(parts), std::move(settings)));
  PANAL_TRY(one->ksm_keeper_.recover());
  // A node that does not govern KSM any more puts back what a former panald changed.
  if (!one->settings_.governs_ksm()) PANAL_TRY(one->ksm_keeper_.restore());
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

void Optimiser::started(DesktopId id, bool enlisted) {
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
  if (enlisted) ++enlisted_starts_;
  desks_[id] = std::move(desk);
}

void Optimiser::ended(DesktopId id) {
  const std::lock_guard lock(mutex_);
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
  if (!connected) return;
  desk.awake_until_ns = 0;
  // Back at the keyboard: whoever takes its memory stops now, not at the next look.
  if (std::chrono::milliseconds{idle_ms} < settings_.idle_after) desk.wanted = true;
}

void Optimiser::wake(DesktopId id, std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = desks_.find(id);
    if (found != desks_.end() && !ending_) {
      Desk& desk = *found->second;
      desk.wanted = true;
      desk.awake_until_ns = monotonic_ns() + kAwake;
      if (desk.frozen || desk.busy || desk.taken_bytes > 0) {
        waking_.push_back({found->second, std::move(done)});
        waking_came_.notify_one();
        return;
      }
    }
  }
  done();
}

void Optimiser::thaw(DesktopId id) {
  const DeskPtr desk = find(id);
  if (!desk) return;
  {
    const std::lock_guard lock(mutex_);
    desk->wanted = true;
    desk->awake_until_ns = INT64_MAX;
    desk->frozen = false;
  }
  if (auto thawed = desk->group.thaw(); !thawed && !thawed.error().is_gone())
    complain("thaw", thawed.error());
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
  if (settings_.shave && host->at_ns - last_round_ns_ >= kRoundEvery) shave_round(*host);
  const std::lock_guard lock(mutex_);
  host_ = std::move(*host);
  ++totals_.looks;
  totals_.look_cpu_ns += thread_cpu_ns() - begun;
}

void Optimiser::classify(MonotonicNs now_ns) {
  std::vector<std::pair<DeskPtr, SessionClass>> changed;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, desk] : desks_) {
      SessionClass fresh = class_of(desk->session, desk->frozen, settings_.idle_after, now_ns);
      if (now_ns < desk->awake_until_ns) fresh = SessionClass::kActive;
      if (!desk->busy && fresh != SessionClass::kActive && !desk->session.connected)
        desk->wanted = false;
      if (fresh == SessionClass::kIdle) desk->wanted = false;
      if (fresh == desk->last.session) continue;
      desk->last.session = fresh;
      desk->last.session_since_ns = now_ns;
      changed.emplace_back(desk, fresh);
    }
  }
  for (const auto& [desk, fresh] : changed) {
    const auto limits = settings_.limits.find(fresh);
    if (limits == settings_.limits.end()) continue;
    if (auto set = desk->group.set_limits(limits->second); !set && !set.error().is_gone())
      complain("set_limits", set.error());
  }
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

void Optimiser::govern_ksm(const Snapshot& host) {
  if (!host.ksm) return;
  policy::KsmSample sample = policy::ksm_sample_of(host);
  {
    const std::lock_guard lock(mutex_);
    sample.enlisted_starts_total = enlisted_starts_;
    for (const auto& [id, desk] : desks_) {
      if (!desk->enlisted) continue;
      ++sample.enlisted_desktops;
      if (desk->last.usage.memory) sample.enlisted_bytes += desk->last.usage.memory->anon_bytes;
    }
    // The charge counts a merged page once.
    sample.enlisted_bytes += host.ksm->pages_sharing * kPage;
  }
  const KsmDecision decision = governor_.decide(sample);
  if (auto applied = ksm_keeper_.apply(decision, settings_.use_zero_pages); !applied)
    complain("write_ksm", applied.error());
  const std::lock_guard lock(mutex_);
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
      if (desk->verdict.bytes > 0) refresh.push_back(desk);
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
    if (!may_be_taken(desk->last, input.at_ns)) one.session = SessionClass::kActive;
    // The advising kind takes no page cache.
    if (taker_->name() == "madvise") one.file_bytes = 0;
    input.desktops.push_back(one);
  }
  const auto verdicts = shaver_.decide(input);
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    const ShaveDecision& verdict = verdicts[i];
    desks[i]->verdict = verdict;
    ++totals_.verdicts[std::string(to_string(verdict.reason))];
    const bool freeze = verdict.freeze && !desks[i]->frozen;
    if (verdict.bytes == 0 && !freeze) continue;
    desks[i]->busy = true;
    jobs_.push_back({desks[i], verdict.bytes, freeze});
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
  if (job.bytes > 0 && !desk.wanted) {
    TakeRequest request{job.bytes, steady_clock::now() + kLongestTake, &desk.wanted};
    const auto taken = taker_->take(desk.group, request, desk.cursor);
    if (!taken) {
      if (!taken.error().is_gone()) complain("take", taken.error());
    } else {
      const std::lock_guard lock(mutex_);
      ++totals_.takes;
      totals_.asked_bytes += job.bytes;
      totals_.taken_bytes += taken->yield_bytes();
      totals_.take_cpu_ns += taken->cpu_ns;
      desk.taken_bytes += taken->yield_bytes();
    }
  }
  if (!job.freeze) return;
  {
    const std::lock_guard lock(mutex_);
    if (desk.wanted || desk.session.connected) return;
    desk.frozen = true;  // before it is: a waker that comes now thaws it
    ++totals_.freezes;
  }
  if (auto frozen = desk.group.freeze(kFreezeTimeout); !frozen) {
    if (!frozen.error().is_gone()) complain("freeze", frozen.error());
    (void)desk.group.thaw();
    const std::lock_guard lock(mutex_);
    desk.frozen = false;
  }
}

// --- waking -------------------------------------------------------------------------------------

void Optimiser::wake_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    waking_came_.wait(lock, [this] { return ending_ || !waking_.empty(); });
    if (ending_) return;
    const Waking waking = std::move(waking_.front());
    waking_.pop_front();
    // The worker was told to stop; it is through with its system call in some ms.
    waking_came_.wait_for(lock, milliseconds(200),
                          [this, &waking] { return ending_ || !waking.desk->busy; });
    lock.unlock();
    wake_now(waking);
    lock.lock();
  }
}

void Optimiser::wake_now(const Waking& waking) {
  Desk& desk = *waking.desk;
  const auto fetch = [this, &desk](FetchPart part, milliseconds patience) {
    const auto fetched = fetch_back(parts_.tree, desk.group, part, steady_clock::now() + patience);
    if (!fetched) {
      if (!fetched.error().is_gone()) complain("fetch", fetched.error());
      return;
    }
    const std::lock_guard lock(mutex_);
    totals_.fetched_bytes += fetched->bytes;
    totals_.fetch_cpu_ns += fetched->cpu_ns;
  };
  // While it is frozen nothing of it fights for the CPU.
  fetch(FetchPart::kDisplay, kDisplayPatience);
  bool frozen = false;
  {
    const std::lock_guard lock(mutex_);
    frozen = std::exchange(desk.frozen, false);
    desk.taken_bytes = 0;
    desk.cursor = TakeCursor{};
    ++totals_.wakes;
    if (frozen) ++totals_.thaws;
  }
  if (frozen)
    if (auto thawed = desk.group.thaw(); !thawed && !thawed.error().is_gone())
      complain("thaw", thawed.error());
  waking.done();
  fetch(FetchPart::kRest, kRestPatience);
}

}  // namespace panal::optimiser
