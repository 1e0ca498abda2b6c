// The optimiser as the hands of the last resort (rescuer.h).
#include <utility>

#include "engine/policy/units.h"
#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {

namespace {

/// With less of it free, advice takes nothing.
constexpr std::uint64_t kLeastSwapFree = policy::kMib;

/// Somebody looks at it, or is about to.
bool seen(const Desk& desk) {
  return desk.session.connected || desk.wanted || monotonic_ns() < desk.awake_until_ns;
}

}  // namespace

std::vector<RescueDesk> Optimiser::rescue_desks() const {
  std::vector<RescueDesk> out;
  const std::lock_guard lock(mutex_);
  out.reserve(desks_.size());
  for (const auto& [id, desk] : desks_) {
    RescueDesk one;
    one.id = id;
    one.session = desk->last.session;
    one.group = std::shared_ptr<const kernel::Cgroup>(desk, &desk->group);
    if (const auto& memory = desk->last.usage.memory) {
      one.anon_bytes = memory->anon_bytes;
      one.cache_bytes = policy::less(memory->file_bytes, memory->shmem_bytes);
      one.swap_bytes = memory->swap_bytes;
    }
    out.push_back(std::move(one));
  }
  return out;
}

void Optimiser::take_all(std::span<const DesktopId> ids) {
  const std::lock_guard lock(mutex_);
  // To look through hundreds of desktops in vain takes a core for seconds, just now.
  const bool full = host_.at_ns > 0 && host_.memory.swap_free < kLeastSwapFree;
  if (full && taker_->name() == "madvise") return;
  for (const DesktopId id : ids) {
    const auto found = desks_.find(id);
    if (found == desks_.end()) continue;
    const DeskPtr& desk = found->second;
    if (desk->busy || seen(*desk)) continue;
    const auto& memory = desk->last.usage.memory;
    const std::uint64_t bytes = memory ? memory->anon_bytes + memory->file_bytes : 0;
    if (bytes == 0) continue;
    desk->busy = true;
    jobs_.push_front({desk, bytes, false, desk->last.session});
  }
  jobs_came_.notify_one();
}

/// Not left to the hand: it may be two seconds into one of the takes of the step before, with all
/// others behind that, and what comes next is a kill. To ask is enough, and takes the kernel some
/// ten microseconds each: whoever waits in the kernel stands as soon as it comes back from there.
void Optimiser::freeze_all(std::span<const DesktopId> ids) {
  std::vector<DeskPtr> chosen;
  {
    const std::lock_guard lock(mutex_);
    for (const DesktopId id : ids) {
      const auto found = desks_.find(id);
      if (found != desks_.end() && !seen(*found->second)) chosen.push_back(found->second);
    }
  }
  for (const DeskPtr& desk : chosen) freeze(*desk, FreezeFor::kRescue);
}

void Optimiser::let_go() {
  std::vector<DeskPtr> asleep;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, desk] : desks_)
      if (std::exchange(desk->frozen_for_rescue, false) && desk->frozen) asleep.push_back(desk);
  }
  for (const DeskPtr& desk : asleep) thaw_now(*desk);
}

}  // namespace panal::optimiser
