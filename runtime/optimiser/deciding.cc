// The decider's thread: what is looked at, and what follows from it.
#include <algorithm>
#include <utility>

#include "engine/kernel/host_snapshot.h"
#include "engine/policy/units.h"
#include "runtime/optimiser/class_limits.h"
#include "runtime/optimiser/enclosing_groups.h"
#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {

using policy::kSecond;
using std::chrono::seconds;

namespace {

constexpr seconds kTick{1};
/// Each desktop is looked at once in this time when nothing is done with it.
constexpr std::int64_t kLookEvery = 60;
/// A round of taking back; the shaver's steps are meant for a few seconds.
constexpr MonotonicNs kRoundEvery = 6 * kSecond;
/// Who gives nothing just now is read less often than the rounds are; who has nothing to give, or
/// rests, only when all are.
constexpr MonotonicNs kRefreshAfter = 20 * kSecond;
/// What stands changes by nothing but the kernel's own reclaim.
constexpr MonotonicNs kLookAtFrozenEvery = 300 * kSecond;
/// Desktops marked as the first to go in a round: some ms of CPU each.
constexpr int kCoolAtOnce = 8;
/// Each may wait for a disk, and all else waits behind it.
constexpr int kDropAtOnce = 8;
constexpr std::uint64_t kSwapCacheWorthALook = policy::kMib;
/// Limits that are above what a desktop uses follow it down this often.
constexpr MonotonicNs kLimitsAgain = 10 * kSecond;

bool may_have_more(ShaveReason reason) {
  return reason != ShaveReason::kAtFloor && reason != ShaveReason::kNotNeeded;
}

/// Pages that came back soon after they were taken, between two looks.
std::uint64_t refaults(const GroupUsage& before, const GroupUsage& now) {
  if (!before.memory || !now.memory) return 0;
  return policy::grown(before.memory->refault_anon_pages, now.memory->refault_anon_pages) +
         policy::grown(before.memory->refault_file_pages, now.memory->refault_file_pages);
}

}  // namespace

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
  if (!host) {
    // Who comes and goes is known without, and nobody may be kept at the limits of who is away.
    classify(monotonic_ns());
    return complain("read_host", host.error());
  }
  classify(host->at_ns);
  look_at_desks(host->at_ns);
  if (settings_.governs_ksm()) govern_ksm(*host);
  if (settings_.enlists()) weigh_domains(*host);
  const bool rounds = settings_.shave || settings_.freezes();
  if (rounds && host->at_ns - last_round_ns_ >= kRoundEvery) {
    protect_spared();
    shave_round(*host);
  }
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
      SessionClass fresh = class_of(desk->session, desk->frozen, desk->watching.now(now_ns),
                                    settings_.idle_after, now_ns);
      if (being_woken) fresh = SessionClass::kActive;
      if (fresh != SessionClass::kActive && !ending_) desk->wanted = false;
      if (fresh == SessionClass::kActive) desk->cooled = false;
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
        desk->quiet = {};
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
  {
    const std::lock_guard lock(mutex_);
    desk->last.at_ns = monotonic_ns();
    if (desk->taken_bytes > 0) totals_.refaulted_pages += refaults(desk->last.usage, *usage);
    desk->last.usage = std::move(*usage);
    desk->last.pressure = *pressure;
  }
  read_io(desk);
  see_doings(desk);
}

void Optimiser::look_at_desks(MonotonicNs now_ns) {
  std::vector<DeskPtr> due;
  {
    const std::lock_guard lock(mutex_);
    const std::size_t share = (desks_.size() + kLookEvery - 1) / kLookEvery;
    for (const auto& [id, desk] : desks_) {
      const bool stands = desk->last.session == SessionClass::kFrozen;
      const MonotonicNs age = now_ns - desk->last.at_ns;
      if (desk->last.at_ns == 0 || age >= (stands ? kLookAtFrozenEvery : kLookEvery * kSecond / 2))
        due.push_back(desk);
    }
    const auto oldest = [](const DeskPtr& a, const DeskPtr& b) {
      return a->last.at_ns < b->last.at_ns;
    };
    // New ones at once, however many.
    const auto fresh = static_cast<std::size_t>(std::count_if(
        due.begin(), due.end(), [](const DeskPtr& desk) { return desk->last.at_ns == 0; }));
    const std::size_t most = std::min(due.size(), std::max(share, fresh));
    std::partial_sort(due.begin(), due.begin() + static_cast<std::ptrdiff_t>(most), due.end(),
                      oldest);
    due.resize(most);
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
  if (ksm_keeper_.taken_over()) {
    if (!ksm_keeper_.given_back(host.at_ns)) return;
    governor_ = policy::KsmGovernor(settings_.ksm);  // what it knew is of another time
    parts_.log->info("ksm", {{"taken_over", "no"}, {"why", "it is as it was left"}});
    const std::lock_guard lock(mutex_);
    ksm_taken_over_ = false;
  }
  const KsmDecision decision = governor_.decide(sample);
  if (auto applied = ksm_keeper_.apply(decision, settings_.use_zero_pages); !applied)
    complain("write_ksm", applied.error());
  const std::lock_guard lock(mutex_);
  ksm_taken_over_ = ksm_keeper_.taken_over();
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

const std::vector<kernel::Cgroup>& Optimiser::around() {
  if (around_.empty()) {
    auto groups = enclosing_groups(parts_.cgroups, parts_.cgroup_parent);
    if (groups) around_ = std::move(*groups);
  }
  return around_;
}

void Optimiser::protect_spared() {
  const auto spared = [this](SessionClass session) {
    const auto limits = settings_.limits.find(session);
    return limits != settings_.limits.end() && limits->second.swapping == Swapping::kLast;
  };
  const bool any = std::any_of(settings_.limits.begin(), settings_.limits.end(),
                               [&](const auto& one) { return spared(one.first); });
  if (!any) return;
  std::uint64_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, desk] : desks_)
      if (spared(desk->last.session) && desk->last.usage.memory)
        bytes += desk->last.usage.memory->usage_bytes;
  }
  // More would be shared out among those who are not spared (memory_recursiveprot).
  for (const kernel::Cgroup& group : around())
    if (auto done = group.protect(bytes); !done && !done.error().is_gone())
      complain("protect", done.error());
}

std::vector<policy::ShaveGroup> Optimiser::limited_groups() {
  std::vector<policy::ShaveGroup> limited;
  for (const kernel::Cgroup& group : around())
    if (const auto room = room_of(group))
      limited.push_back({room->limit_bytes, room->available_bytes, room->reserve_bytes});
  return limited;
}

void Optimiser::shave_round(const Snapshot& host) {
  policy::ShaveInput input;
  input.memory = host.memory;
  input.groups = limited_groups();
  input.zram = host.zram;
  std::vector<DeskPtr> desks, refresh;
  {
    const std::lock_guard lock(mutex_);
    if (!jobs_.empty()) return;  // the last round is still being carried out
    const auto over = policy::seconds(host.at_ns - std::exchange(last_round_ns_, host.at_ns));
    const std::uint64_t before = std::exchange(idle_at_round_ns_, host.cpu.idle_ns);
    if (before > 0 && over > 0)
      input.idle_cores =
          policy::seconds(static_cast<MonotonicNs>(policy::grown(before, host.cpu.idle_ns))) / over;
    for (const auto& [id, desk] : desks_) {
      if (desk->busy) return;
      desks.push_back(desk);
      // Deltas are reckoned by the round, so who may be taken from is read each round.
      if (desk->last.session != SessionClass::kActive && may_be_taken(desk->last, host.at_ns) &&
          (desk->verdict.bytes > 0 ||
           (may_have_more(desk->verdict.reason) && !shaver_.rests(id, host.at_ns) &&
            host.at_ns - desk->last.at_ns > kRefreshAfter)))
        refresh.push_back(desk);
    }
    input.bytes_per_cpu_second = take_speed_.bytes_per_cpu_second(host.at_ns);
    input.ksm_moves = ksm_motion_.moves(host) && !ksm_taken_over_;
  }
  for (const DeskPtr& desk : refresh) read(desk);
  input.at_ns = monotonic_ns();
  const std::lock_guard lock(mutex_);
  const std::uint64_t passes = host.ksm ? host.ksm->full_scans_total : 0;
  for (const DeskPtr& desk : desks) {
    policy::ShaveDesktop one = policy::shave_desktop_of(desk->last);
    one.quiet_since_ns = desk->quiet.since_ns();
    one.ksm_settled = !desk->enlisted || passes >= desk->passes_at_start + kPassesToSettle;
    // Wishes that nobody carries out must not be taken for ones that gave nothing.
    if (!settings_.shave || desk->treatment.spared || !may_be_taken(desk->last, input.at_ns))
      one.anon_bytes = one.file_bytes = 0;
    // The advising kind takes no page cache.
    if (taker_->name() == "madvise") one.file_bytes = 0;
    input.desktops.push_back(one);
  }
  const auto verdicts = shaver_.decide(input);
  int cooling = 0;
  int dropping = 0;
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
    // Nothing is short yet: the kernel is told whose pages are to go first.
    const bool cool = !take && may && cools_ && !desks[i]->cooled && cooling < kCoolAtOnce &&
                      verdict.reason == ShaveReason::kNotNeeded && !desks[i]->treatment.spared;
    const auto& memory = desks[i]->last.usage.memory;
    const bool drop = !take && may && !desks[i]->treatment.spared && memory &&
                      memory->unused_swap_cache_bytes() >= kSwapCacheWorthALook &&
                      dropping < kDropAtOnce && !shaver_.rests(desks[i]->id, input.at_ns);
    if (!take && !freeze && !cool && !drop) continue;
    // Somebody came while we looked.
    if (desks[i]->wanted || input.at_ns < desks[i]->awake_until_ns) {
      if (take) ++totals_.steps_dropped["came_back"];
      if (freeze) ++totals_.freezes_refused["came_back"];
      continue;
    }
    desks[i]->busy = true;
    if (cool) ++cooling;
    if (drop) ++dropping;
    jobs_.push_back(
        {desks[i], take ? verdict.bytes : 0, freeze, desks[i]->last.session, cool, drop});
  }
  jobs_came_.notify_one();
}

}  // namespace panal::optimiser
