// The hand's thread: what was decided is done to one desktop at a time.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/policy/units.h"
#include "runtime/optimiser/optimiser.h"
#include "runtime/optimiser/swap_cache.h"

namespace panal::optimiser {

using policy::kSecond;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

/// A worker does not stay with one desktop for longer.
constexpr milliseconds kLongestTake{2000};
/// One that cannot be frozen (a process in an uninterruptible sleep) is let alone for a while.
constexpr milliseconds kFreezeTimeout{500};
constexpr MonotonicNs kFreezeAgain = 10 * 60 * kSecond;

}  // namespace

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
    // What the last resort froze since can give all the more.
    const bool deeper =
        job.session == SessionClass::kDisconnected && desk.last.session == SessionClass::kFrozen;
    const bool changed = desk.last.session != job.session && !deeper;
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
      take_speed_.add(policy::real(taken->yield_bytes()), policy::real(taken->cpu_ns) / 1e9,
                      monotonic_ns());
      desk.taken_bytes += taken->yield_bytes();
    }
  }
  if (job.bytes > 0 && !desk.wanted) take_monitor(desk);
  if (job.drop && !desk.wanted) drop(desk);
  if (job.cool && !desk.wanted) cool(desk);
  if (job.freeze) freeze(desk, FreezeFor::kProfile);
}

void Optimiser::drop(Desk& desk) {
  const std::uint64_t begun = thread_cpu_ns();
  const auto dropped =
      drop_swap_cache(desk.group, {UINT64_MAX, steady_clock::now() + kLongestTake, &desk.wanted});
  if (!dropped && !dropped.error().is_gone()) complain("drop", dropped.error());
  const std::lock_guard lock(mutex_);
  // It is not looked at again before its next turn: what is known of it is of the past now.
  if (desk.last.usage.memory) desk.last.usage.memory->swap_cached_bytes = 0;
  ++totals_.drops;
  totals_.drop_cpu_ns += thread_cpu_ns() - begun;
  if (dropped) totals_.dropped_bytes += *dropped;
}

void Optimiser::freeze(Desk& desk, FreezeFor why) {
  const bool rescue = why == FreezeFor::kRescue;
  {
    const std::lock_guard lock(mutex_);
    if (desk.frozen) return;
    if (desk.wanted || desk.session.connected) {
      ++totals_.freezes_refused["came_back"];
      return;
    }
    desk.frozen = true;  // before it is: a waker that comes now thaws it
    desk.frozen_for_rescue = rescue;
    ++totals_.freezes;
  }
  const auto begun = steady_clock::now();
  const auto frozen = desk.group.freeze(rescue ? milliseconds(0) : kFreezeTimeout);
  const bool asked = frozen || (rescue && frozen.error().code == ETIMEDOUT);
  if (!asked && !frozen.error().is_gone()) complain("freeze", frozen.error());
  bool stay = false;
  {
    const std::lock_guard lock(mutex_);
    // Somebody may have come, and thawed, while the kernel was still at it.
    stay = asked && desk.frozen && !desk.wanted && !desk.session.connected;
    if (frozen) {
      totals_.freezing.add(steady_clock::now() - begun);
    } else if (!asked) {
      ++totals_.freezes_refused["failed"];
      desk.not_frozen_before_ns = monotonic_ns() + kFreezeAgain;
    }
  }
  if (!stay) thaw_now(desk);
}

}  // namespace panal::optimiser
