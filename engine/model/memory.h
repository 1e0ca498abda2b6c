#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

namespace panal {

/// The host's memory, in bytes. A line that this kernel lacks reads as 0.
/// Kernel: Documentation/filesystems/proc.rst, meminfo.
struct HostMemory {
  std::uint64_t total = 0;
  std::uint64_t free = 0;
  std::uint64_t available = 0;
  std::uint64_t buffers = 0;
  std::uint64_t cached = 0;  ///< page cache with shared memory
  std::uint64_t swap_cached = 0;
  std::uint64_t anon = 0;  ///< in processes' tables
  /// On the kernel's lists of what is not of files: shared memory and the swap cache too.
  std::uint64_t anon_lists = 0;
  std::uint64_t shmem = 0;
  std::uint64_t unevictable = 0;
  std::uint64_t dirty = 0;
  std::uint64_t writeback = 0;
  std::uint64_t slab_reclaimable = 0;
  std::uint64_t slab_unreclaimable = 0;
  std::uint64_t kernel_stack = 0;
  std::uint64_t page_tables = 0;
  std::uint64_t percpu = 0;
  std::uint64_t hugetlb = 0;
  std::uint64_t swap_total = 0;
  std::uint64_t swap_free = 0;
  /// Linux 5.19, in front of swap devices: memory that compressed pages take (charged to groups on
  /// cgroup v2 only), and what they were before.
  std::uint64_t zswap_pool = 0;
  std::uint64_t zswap_original = 0;

  [[nodiscard]] bool operator==(const HostMemory&) const = default;
};

/// What the memory management did since boot, in pages where nothing else is said; 0 where the
/// kernel does not count it. Kernel: mm/vmstat.c.
struct VmCounters {
  std::uint64_t refault_anon = 0;  ///< pages that came back soon after they were reclaimed
  std::uint64_t refault_file = 0;
  std::uint64_t swap_in = 0;
  std::uint64_t swap_out = 0;
  std::uint64_t cow_ksm = 0;         ///< writes that broke a merged page
  std::uint64_t ksm_swpin_copy = 0;  ///< merged pages that came back from swap unshared
  std::uint64_t scan = 0;            ///< looked at by kswapd, direct and proactive reclaim
  std::uint64_t steal = 0;           ///< taken by them
  std::uint64_t scan_direct = 0;     ///< of `scan`: by processes that had to wait for memory
  std::uint64_t steal_direct = 0;
  std::uint64_t major_faults = 0;  ///< faults
  std::uint64_t oom_kills = 0;     ///< processes

  [[nodiscard]] bool operator==(const VmCounters&) const = default;
};

/// One line of /proc/swaps.
struct SwapDevice {
  std::string path;  ///< escapes decoded
  bool is_file = false;
  std::uint64_t size_bytes = 0;
  std::uint64_t used_bytes = 0;
  int priority = 0;  ///< higher is filled first

  [[nodiscard]] bool operator==(const SwapDevice&) const = default;
};

/// One zram device, or the sum of several, in bytes.
/// Kernel: Documentation/admin-guide/blockdev/zram.rst, mm_stat.
struct ZramStatistics {
  std::uint64_t original = 0;  ///< what was stored, before compression
  std::uint64_t compressed = 0;
  std::uint64_t used = 0;   ///< taken from the host, fragmentation included; in no cgroup's charge
  std::uint64_t limit = 0;  ///< of `used`; 0: none
  std::uint64_t used_max = 0;    ///< since the last reset
  std::uint64_t same_pages = 0;  ///< pages of one repeated word, stored without memory
  std::uint64_t huge_pages = 0;  ///< pages that did not compress, stored as they are

  [[nodiscard]] bool operator==(const ZramStatistics&) const = default;
};

/// What a group and those below it are charged with. Both cgroup versions in one shape; 0 where
/// the kernel does not count.
struct MemoryStatistics {
  std::uint64_t usage_bytes = 0;  ///< the whole charge
  std::uint64_t limit_bytes = 0;  ///< UINT64_MAX: none
  std::uint64_t anon_bytes = 0;   ///< shared memory not in it
  std::uint64_t file_bytes = 0;   ///< page cache (first touch), with shared memory
  std::uint64_t shmem_bytes = 0;
  std::uint64_t swap_bytes = 0;         ///< swapped out, before compression
  std::uint64_t swap_cached_bytes = 0;  ///< in memory and on a swap device as well
  std::uint64_t anon_lists_bytes = 0;   ///< on the kernel's lists of what is not of files
  std::uint64_t kernel_bytes = 0;       ///< stacks, page tables, slab
  std::uint64_t unevictable_bytes = 0;
  std::uint64_t refault_anon_pages = 0;  ///< since the group was made
  std::uint64_t refault_file_pages = 0;
  std::uint64_t major_faults = 0;
  std::uint64_t oom_kills = 0;   ///< processes; v1: of this group alone
  std::uint64_t ooms = 0;        ///< times reclaim gave up at the limit; v1: not counted
  std::uint64_t limit_hits = 0;  ///< times the charge ran into the hard limit
  std::uint64_t high_hits = 0;   ///< times it ran into the soft one (memory.high); v1: not counted
  /// memory.high: above it all that charge wait for reclaim. UINT64_MAX: none. v1's soft limit
  /// makes nobody wait, and is none.
  std::uint64_t high_bytes = UINT64_MAX;
  /// How much more of it may be swapped out by limits of its own (v2 memory.swap.max; v1's limit of
  /// memory and swap together, as far as that is above the one of memory). UINT64_MAX: none.
  std::uint64_t swap_left_bytes = UINT64_MAX;

  /// Of what is on a swap device too, what is in no process's tables: reclaim finds it first. (What
  /// was read and not written to since it came back is in tables, and may be in the swap cache.)
  [[nodiscard]] std::uint64_t unused_swap_cache_bytes() const {
    const std::uint64_t used = anon_bytes + shmem_bytes;
    return std::min(swap_cached_bytes, anon_lists_bytes > used ? anon_lists_bytes - used : 0);
  }
  /// Where memory comes to an end for those in it: UINT64_MAX nowhere.
  [[nodiscard]] std::uint64_t end_bytes() const { return std::min(limit_bytes, high_bytes); }
  [[nodiscard]] bool operator==(const MemoryStatistics&) const = default;
};

/// The mappings of one process, or the sum of several, in bytes.
/// Kernel: Documentation/ABI/testing/procfs-smaps_rollup.
struct SmapsRollup {
  std::uint64_t rss = 0;
  std::uint64_t pss = 0;  ///< shared pages counted by share
  std::uint64_t pss_anon = 0;
  std::uint64_t pss_file = 0;
  std::uint64_t pss_shmem = 0;
  std::uint64_t pss_dirty = 0;
  std::uint64_t anon = 0;  ///< resident anonymous memory, by size
  std::uint64_t swap = 0;
  std::uint64_t swap_pss = 0;
  std::uint64_t ksm = 0;  ///< merged by KSM, by size

  [[nodiscard]] bool operator==(const SmapsRollup&) const = default;
};

}  // namespace panal
