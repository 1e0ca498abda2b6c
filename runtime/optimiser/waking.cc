// The waker's thread: a user returns.
#include <algorithm>
#include <utility>

#include "engine/policy/units.h"
#include "runtime/optimiser/memory_fetcher.h"
#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {

/// What the user waits for before the link opens, and what comes after that.
constexpr milliseconds kDisplayPatience{60};
constexpr milliseconds kRestPatience{1500};
constexpr milliseconds kRecordPatience{300};

}  // namespace

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
    const double speed = fetch_speed_.bytes_per_cpu_second(monotonic_ns());
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
  fetch_speed_.add(policy::real(fetched->bytes), policy::real(fetched->cpu_ns) / 1e9,
                   monotonic_ns());
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
    desk.awake_until_ns = std::max(desk.awake_until_ns, monotonic_ns() + kAwakeNs);
    desk.limits_due = true;
    desk.taken_bytes = 0;
    if (!desk.busy) desk.cursor = TakeCursor{};
    desk.woken = desk.woken || waking.was_taken;  // the first try's, where this is another
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
  // It may have ended since: ended() takes it from desks_ first, and forgets then.
  if (find(desk->id) != desk) hot_.forget(desk->id);
}

}  // namespace panal::optimiser
