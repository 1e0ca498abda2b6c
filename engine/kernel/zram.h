#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

/// One device's mm_stat, in bytes. Kernel: Documentation/admin-guide/blockdev/zram.rst.
struct ZramMemory {
  std::uint64_t original = 0;  ///< what was stored, before compression
  std::uint64_t compressed = 0;
  std::uint64_t used = 0;   ///< taken from the host, fragmentation included; in no cgroup's charge
  std::uint64_t limit = 0;  ///< 0: none
  std::uint64_t used_max = 0;  ///< since the last reset
};

/// Errors: EPROTO with fewer than five numbers. Later columns are skipped.
[[nodiscard]] Result<ZramMemory> parse_zram_mm_stat(std::string_view text);

/// The sum over all zram devices; all zero where there is none.
[[nodiscard]] Result<ZramMemory> read_zram(const Tree& tree);

}  // namespace panal::kernel
