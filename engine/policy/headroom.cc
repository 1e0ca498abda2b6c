#include "engine/policy/headroom.h"

#include <algorithm>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

constexpr std::uint64_t kReserveShare = 16;
constexpr std::uint64_t kLeastReserve = 32 * kMib;
constexpr std::uint64_t kMostReserve = 512 * kMib;
/// Desktops' memory compresses 4.9 to 1 (docs/results.md); a hog's may not. Used until enough is
/// stored to know.
constexpr double kFirstCost = 0.5;
constexpr std::uint64_t kEnoughStored = 64 * kMib;
/// Of anonymous memory, what can be swapped out without those who use it standing still.
constexpr std::uint64_t kColdShare = 2;

}  // namespace

SwapRoom swap_room(const HostMemory& host, const ZramStatistics& zram) {
  SwapRoom room{host.swap_free, 0};
  if (zram.limit == 0 && zram.original == 0) {
    // A disk, and what zswap keeps of it in memory: a pool of bounded size, and a mean.
    const std::uint64_t stored = less(host.swap_total, host.swap_free);
    if (host.zswap_pool > 0)
      room.cost = stored >= kEnoughStored
                      ? std::clamp(real(host.zswap_pool) / real(stored), 0.0, 1.0)
                      : kFirstCost;
    return room;
  }
  room.cost = zram.original >= kEnoughStored
                  ? std::clamp(real(zram.used) / real(zram.original), 0.05, 1.0)
                  : kFirstCost;
  if (zram.limit > 0)
    room.bytes = std::min(room.bytes, whole(real(less(zram.limit, zram.used)) / room.cost));
  return room;
}

Headroom host_headroom(const HostMemory& host, std::uint64_t reserve_bytes) {
  return {host.available, reserve_bytes, host.available};
}

Headroom group_headroom(const MemoryStatistics& group, const SwapRoom& swap) {
  Headroom room;
  const std::uint64_t limit = group.end_bytes();
  if (limit >= UINT64_MAX / 4) {  // v1 says "none" with a large number
    room.available_bytes = room.certain_bytes = UINT64_MAX / 4;
    return room;
  }
  room.reserve_bytes = std::clamp(limit / kReserveShare, kLeastReserve, kMostReserve);
  const std::uint64_t cache = less(group.file_bytes, group.shmem_bytes);
  // Without some page cache, programs would be read from disk again and again.
  const std::uint64_t droppable = less(cache, std::min(cache / 2, room.reserve_bytes));
  const std::uint64_t cold =
      std::min({swap.bytes, group.swap_left_bytes, group.anon_bytes / kColdShare});
  room.certain_bytes = less(limit, group.usage_bytes);
  room.available_bytes = room.certain_bytes + droppable + whole(real(cold) * (1 - swap.cost));
  return room;
}

}  // namespace panal::policy
