#include "runtime/optimiser/fences.h"

#include <algorithm>

#include "engine/policy/units.h"

namespace panal::optimiser {
namespace {

using policy::kMib;

constexpr std::uint64_t kLeastRoom = 16 * kMib;
/// What is left between a critical state and this is for the law to act in.
constexpr std::uint64_t kReservesKept = 4;
/// Moves of less than this part of the reserve are not written.
constexpr std::uint64_t kDeadBandShare = 32;

/// How often Linux counts a group's statistics up whatever it thinks of them (FLUSH_TIME in
/// mm/memcontrol.c).
constexpr MonotonicNs kStatisticsAge = 2 * policy::kSecond;

bool raise_to(const kernel::Cgroup& group, std::uint64_t bytes) {
  Limits limits;
  limits.memory_bytes = bytes;
  // It is gone, perhaps: the next look sees.
  return group.set_limits(limits).has_value();
}

/// The limit that it has then. Who has outgrown its fence just now keeps what stands, until the
/// next look.
std::uint64_t moved_to(const kernel::Cgroup& group, std::uint64_t present, std::uint64_t wanted) {
  if (wanted > present) return raise_to(group, wanted) ? wanted : present;
  return group.lower_memory_limit(present, wanted).value_or(present);
}

}  // namespace

std::uint64_t fence_bytes(std::uint64_t own_bytes, const FenceCharge& charge,
                          const policy::Headroom& room, std::uint64_t share_bytes) {
  const std::uint64_t left = policy::less(room.available_bytes, room.reserve_bytes / kReservesKept);
  if (left >= own_bytes) return own_bytes;
  const std::uint64_t least =
      charge.bytes <= share_bytes ? kLeastRoom : std::min(kLeastRoom, room.available_bytes / 2);
  // Not below what it has: the kernel would take from it, or refuse.
  const std::uint64_t fence =
      charge.bytes + std::max(least, policy::less(left, charge.cache_bytes));
  return std::min(own_bytes, (fence + kMib - 1) / kMib * kMib);
}

std::uint64_t FenceHistory::lowest(std::uint64_t wanted_bytes, MonotonicNs now_ns) {
  if (since_ns_ == 0 || now_ns - since_ns_ >= kStatisticsAge) {
    const bool recent = since_ns_ != 0 && now_ns - since_ns_ < 2 * kStatisticsAge;
    before_ = recent ? now_ : UINT64_MAX;
    now_ = UINT64_MAX;
    since_ns_ = now_ns;
  }
  now_ = std::min(now_, wanted_bytes);
  return std::min(now_, before_);
}

Fences::Charges Fences::charges(const std::vector<RescueDesk>& desks) {
  Charges out;
  out.reserve(desks.size());
  for (const RescueDesk& desk : desks) {
    out.emplace_back();
    if (const auto bytes = desk.group->memory_usage())
      out.back() = FenceCharge{*bytes, std::min(*bytes, desk.cache_bytes)};
  }
  return out;
}

void Fences::update(const std::vector<RescueDesk>& desks, const Charges& charges,
                    const policy::Headroom& room, std::uint64_t share_bytes, MonotonicNs now_ns) {
  // What it has and may have at least, and what is certain.
  policy::Headroom certain = room;
  certain.available_bytes = room.certain_bytes;
  fenced_ = 0;
  std::map<DesktopId, Fence> former;
  former.swap(fences_);
  for (std::size_t i = 0; i < desks.size(); ++i) {
    const RescueDesk& desk = desks[i];
    const auto& charge = charges[i];
    const auto limit = desk.group->memory_limit();
    if (!charge || !limit) continue;
    Fence fence{desk.group, *limit, *limit, {}};
    const auto known = former.find(desk.id);
    bool stood = false;
    if (known != former.end() && known->second.group == desk.group) {
      stood = known->second.stands();
      // Another value than ours is its class's: that is its own from now on.
      if (known->second.set_bytes == *limit) fence.own_bytes = known->second.own_bytes;
      fence.history = known->second.history;
    }
    const std::uint64_t wanted = std::max(
        fence.history.lowest(fence_bytes(fence.own_bytes, *charge, room, share_bytes), now_ns),
        fence_bytes(fence.own_bytes, {charge->bytes, 0}, certain, share_bytes));
    const std::uint64_t moved = std::max(wanted, *limit) - std::min(wanted, *limit);
    const bool lifted = wanted == fence.own_bytes;
    if (moved > room.reserve_bytes / kDeadBandShare || (lifted && moved > 0))
      fence.set_bytes = moved_to(*desk.group, *limit, wanted);
    if (fence.stands()) {
      ++fenced_;
      if (!stood) ++raised_;
    }
    fences_.emplace(desk.id, std::move(fence));
  }
}

bool Fences::fenced(DesktopId id) const {
  const auto found = fences_.find(id);
  return found != fences_.end() && found->second.stands();
}

void Fences::lift() {
  for (const auto& [id, fence] : fences_) {
    if (!fence.stands()) continue;
    const auto limit = fence.group->memory_limit();
    if (limit && *limit == fence.set_bytes) (void)raise_to(*fence.group, fence.own_bytes);
  }
  fences_.clear();
  fenced_ = 0;
}

}  // namespace panal::optimiser
