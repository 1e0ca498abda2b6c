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

bool set(const kernel::Cgroup& group, std::uint64_t bytes) {
  Limits limits;
  limits.memory_bytes = bytes;
  // It has outgrown the fence just now, or it is gone: the next look sees.
  return group.set_limits(limits).has_value();
}

}  // namespace

std::uint64_t fence_bytes(std::uint64_t own_bytes, std::uint64_t charge_bytes,
                          const policy::Headroom& room, std::uint64_t share_bytes) {
  const std::uint64_t left = policy::less(room.available_bytes, room.reserve_bytes / kReservesKept);
  if (left >= own_bytes) return own_bytes;
  const std::uint64_t least =
      charge_bytes <= share_bytes ? kLeastRoom : std::min(kLeastRoom, room.available_bytes / 2);
  // Not below what it has: the kernel would take from it, or refuse.
  const std::uint64_t fence = charge_bytes + std::max(least, left);
  return std::min(own_bytes, (fence + kMib - 1) / kMib * kMib);
}

Fences::Charges Fences::charges(const std::vector<RescueDesk>& desks) {
  Charges out;
  out.reserve(desks.size());
  for (const RescueDesk& desk : desks) out.push_back(desk.group->memory_usage());
  return out;
}

void Fences::update(const std::vector<RescueDesk>& desks, const Charges& charges,
                    const policy::Headroom& room, std::uint64_t share_bytes) {
  std::map<DesktopId, Fence> former;
  former.swap(fences_);
  for (std::size_t i = 0; i < desks.size(); ++i) {
    const RescueDesk& desk = desks[i];
    const auto& charge = charges[i];
    const auto limit = desk.group->memory_limit();
    if (!charge || !limit) continue;
    Fence fence{desk.group, *limit, *limit};
    const auto known = former.find(desk.id);
    const bool fenced = known != former.end() && known->second.group == desk.group;
    // Another value than ours is its class's: that is its own from now on.
    if (fenced && known->second.set_bytes == *limit) fence.own_bytes = known->second.own_bytes;
    const std::uint64_t wanted = fence_bytes(fence.own_bytes, *charge, room, share_bytes);
    const std::uint64_t moved = std::max(wanted, *limit) - std::min(wanted, *limit);
    const bool lifted = wanted == fence.own_bytes;
    if (moved > room.reserve_bytes / kDeadBandShare || (lifted && moved > 0))
      if (set(*desk.group, wanted)) fence.set_bytes = wanted;
    if (fence.set_bytes != fence.own_bytes) fences_.emplace(desk.id, std::move(fence));
  }
}

void Fences::lift() {
  for (const auto& [id, fence] : fences_) {
    const auto limit = fence.group->memory_limit();
    if (limit && *limit == fence.set_bytes) (void)set(*fence.group, fence.own_bytes);
  }
  fences_.clear();
}

}  // namespace panal::optimiser
