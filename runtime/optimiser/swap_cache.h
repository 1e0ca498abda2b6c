#pragma once

#include <cstdint>

#include "engine/base/result.h"
#include "engine/kernel/cgroup.h"
#include "runtime/optimiser/memory_taker.h"

namespace panal::optimiser {

/// Below that it is not worth a call.
inline constexpr std::uint64_t kLeastSwapCache = 256 << 10;

/// Frees pages that are on a swap device already, and in memory all the same: what was paged out to
/// a disk (the call returns before the disk is done, and nobody comes back for the page), what
/// zswap moved on to it, what was fetched and not touched. They stand where reclaim looks first, so
/// the group is asked for just as much (Cgroup::reclaim: waits for those still being written).
///
/// For groups that nobody looks at. `request.bytes` at most; returns what the charge lost.
/// Errors: those of Cgroup::statistics() and reclaim(); ENOENT before Linux 5.19 on v2.
[[nodiscard]] Result<std::uint64_t> drop_swap_cache(const kernel::Cgroup& group,
                                                    const TakeRequest& request);

}  // namespace panal::optimiser
