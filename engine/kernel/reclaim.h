#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

/// The charge of a group around an attempt to make it smaller. The difference is the yield, what
/// the group itself took meanwhile included; zram's memory, charged to nobody, is not in it.
struct ReclaimResult {
  std::uint64_t before_bytes = 0;
  std::uint64_t after_bytes = 0;
  bool reached = false;  ///< the kernel found as much as was asked for

  [[nodiscard]] std::uint64_t yield_bytes() const {
    return before_bytes > after_bytes ? before_bytes - after_bytes : 0;
  }
};

/// Takes `bytes` from a group by v2's memory.reclaim (5.19). Blocks until done or until the kernel
/// finds no more; a signal ends it early. Errors: ENOENT on older kernels; ENODEV; EINVAL for 0.
[[nodiscard]] Result<ReclaimResult> reclaim_v2(const Dir& group, std::uint64_t bytes);

/// The same on v1: the hard limit is set below the charge, for which the kernel must reclaim first,
/// and put back. The kernel lowers the limit only once the charge fits, so a caller that is killed
/// while it waits leaves the former limit; between the two writes a lower one may stay
/// (restore_limit_v1 with the limit that belongs there).
///
/// Blocks like the other; ask for few MiB at a time. Errors: ENODEV; EINVAL for 0; any error of
/// putting the limit back, which is tried several times, comes first.
[[nodiscard]] Result<ReclaimResult> reclaim_v1(const Dir& group, std::uint64_t bytes);

/// The first half of it: the limit is left lowered where the charge came below it. For who knows
/// what belongs there and puts it back, at once; `after_bytes` is left to them.
[[nodiscard]] Result<ReclaimResult> press_v1(const Dir& group, std::uint64_t bytes);

/// Puts a v1 hard limit back: the bytes, or UINT64_MAX for none. Tried several times.
/// Errors: ENODEV when the group is gone; EBUSY when its charge has outgrown the limit.
[[nodiscard]] Result<void> restore_limit_v1(const Dir& group, std::uint64_t limit_bytes);

}  // namespace panal::kernel
