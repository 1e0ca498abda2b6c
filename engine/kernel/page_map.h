#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/kernel/process_memory.h"

namespace panal::kernel {

struct PageMapBudget {
  std::chrono::steady_clock::time_point deadline;  ///< looked at before each read of 64 KiB
  std::uint64_t pages = 1 << 20;                   ///< of address space to look at
};

/// Which pages of some ranges are in memory, which are in swap: what came back by itself after
/// everything was paged out is what the process uses.
struct PageMap {
  std::vector<AddressRange> present;  ///< neighbouring pages are one range
  std::vector<AddressRange> swapped;
  /// Of the present ones those that no other process maps and KSM has not merged with another: only
  /// these can be paged out by process_madvise.
  std::vector<AddressRange> own;
  std::uint64_t present_bytes = 0;
  std::uint64_t own_bytes = 0;
  std::uint64_t swapped_bytes = 0;
  bool complete = false;
  AddressRange next;           ///< where to go on when not complete: the rest of this range,
  std::size_t next_index = 0;  ///< then those behind it
};

/// Adds the pages that begin at `address`, one entry each. Pages of files and shared memory are
/// left out. Kernel: Documentation/admin-guide/mm/pagemap.rst.
void add_page_entries(std::span<const std::uint64_t> entries, std::uint64_t address, PageMap& into);

/// Looks at ranges (of whole pages) of a process. Needs the right to trace it.
/// Errors: ENOENT or ESRCH when it is gone; EACCES, EPERM.
[[nodiscard]] Result<PageMap> read_page_map(const Tree& tree, pid_t pid,
                                            std::span<const AddressRange> ranges,
                                            const PageMapBudget& budget);

}  // namespace panal::kernel
