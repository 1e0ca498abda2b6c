#pragma once

#include <cstdint>

#include "engine/model/memory.h"

namespace panal::policy {

/// How much memory can still be had somewhere before processes are killed for it, and how much of
/// that should never be touched. In bytes.
struct Headroom {
  std::uint64_t available_bytes = 0;
  std::uint64_t reserve_bytes = 0;
  /// Of what is available, what was counted exactly just now. The page cache of a group is from its
  /// statistics, which may be 2 s old (docs/optimiser.md).
  std::uint64_t certain_bytes = 0;

  /// How many reserves are left; what is nearest to its end has the least.
  [[nodiscard]] double reserves() const {
    return reserve_bytes == 0
               ? 1e9
               : static_cast<double>(available_bytes) / static_cast<double>(reserve_bytes);
  }
};

/// What anonymous memory can still be swapped out.
struct SwapRoom {
  std::uint64_t bytes = 0;  ///< before compression
  double cost = 0;          ///< memory that it takes for each byte: zram's, zswap's, 0 on a disk
};

/// From meminfo and zram; all swap counts as compressed where there is any zram, and as far as it
/// is in its pool where zswap is in front.
[[nodiscard]] SwapRoom swap_room(const HostMemory& host, const ZramStatistics& zram);

/// The host's, of which `reserve_bytes` belong to nobody.
[[nodiscard]] Headroom host_headroom(const HostMemory& host, std::uint64_t reserve_bytes);

/// A limited group's: below its limit, or v2's memory.high where that is lower, its page cache, and
/// half of its anonymous memory as far as swap takes it and its own limit of swap allows. Its
/// reserve is a sixteenth of the limit (32 MiB to 512 MiB): kernel memory, and what is charged
/// faster than anybody looks. A group without limit never ends.
[[nodiscard]] Headroom group_headroom(const MemoryStatistics& group, const SwapRoom& swap);

}  // namespace panal::policy
