#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

/// The host's memory, in bytes. A line that this kernel lacks reads as 0.
/// Kernel: Documentation/filesystems/proc.rst, meminfo.
struct MemInfo {
  std::uint64_t total = 0;      ///< required
  std::uint64_t free = 0;       ///< required
  std::uint64_t available = 0;  ///< required
  std::uint64_t buffers = 0;
  std::uint64_t cached = 0;  ///< page cache with shared memory
  std::uint64_t swap_cached = 0;
  std::uint64_t anon = 0;
  std::uint64_t slab_reclaimable = 0;
  std::uint64_t slab_unreclaimable = 0;
  std::uint64_t kernel_stack = 0;
  std::uint64_t page_tables = 0;
  std::uint64_t percpu = 0;
  std::uint64_t hugetlb = 0;
  std::uint64_t swap_total = 0;
  std::uint64_t swap_free = 0;
};

/// Errors: EPROTO when a required line is absent or a known one is no number of kB.
[[nodiscard]] Result<MemInfo> parse_meminfo(std::string_view text);
[[nodiscard]] Result<MemInfo> read_meminfo(const Tree& tree);

}  // namespace panal::kernel
