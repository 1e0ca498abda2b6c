#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"
#include "engine/kernel/process_memory.h"
#include "engine/policy/reconnect.h"
#include "runtime/optimiser/memory_fetcher.h"

namespace panal::optimiser {

/// What one process used of its memory while its user came back.
struct HotProcess {
  pid_t pid = 0;
  std::uint64_t started = 0;  ///< ticks since the boot: another process of that number is another
  bool display = false;       ///< draws (nxagent)
  std::vector<kernel::AddressRange> ranges;  ///< by address, whole pages, not overlapping

  [[nodiscard]] bool operator==(const HotProcess&) const = default;
};

/// The hot ranges of a desktop, what draws first. At most kMostHotRanges in all processes
/// together, so 16 KiB.
struct HotMemory {
  std::vector<HotProcess> processes;

  [[nodiscard]] bool operator==(const HotMemory&) const = default;
  [[nodiscard]] std::size_t ranges() const;
  [[nodiscard]] std::uint64_t bytes() const;
};

inline constexpr std::size_t kMostHotRanges = 1024;
inline constexpr std::size_t kMostHotProcesses = 256;

/// As the reconnect law wants them.
[[nodiscard]] std::vector<policy::RecordedRange> recorded_ranges(const HotMemory& hot);

/// The text kept on disk, and back. `boot` is the kernel's random/boot_id: numbers and times of
/// processes are of one boot.
struct SavedHotMemory {
  std::string boot;
  HotMemory hot;

  [[nodiscard]] bool operator==(const SavedHotMemory&) const = default;
};
[[nodiscard]] std::string print_hot_memory(const SavedHotMemory& saved);
/// Errors: EPROTO with the line, also for more than the bounds above allow and for ranges that are
/// out of order, overlap or are no addresses of a process.
[[nodiscard]] Result<SavedHotMemory> parse_hot_memory(const std::string& text);

/// A look at which pages came back after most of a desktop was paged out.
struct HotRecord {
  HotMemory hot;
  std::uint64_t hot_bytes = 0;      ///< in memory, of pages that could be paged out
  std::uint64_t swapped_bytes = 0;  ///< not in memory
  std::uint64_t cpu_ns = 0;
  bool complete = false;  ///< all processes were looked at within the budget

  /// Most of it being in memory says nothing of what is hot: it was not paged out before.
  [[nodiscard]] bool tells() const {
    return complete && hot_bytes > 0 && hot_bytes < swapped_bytes;
  }
};

/// Walks smaps and pagemap of all processes: some ms of CPU, for a worker. What was fetched by
/// fetch_back() or fetch_ranges() and not touched since does not count: it is in the swap cache,
/// and not in the process. Errors: ENODEV when the desktop is gone; EPERM.
[[nodiscard]] Result<HotRecord> record_hot(const Tree& tree, const kernel::Cgroup& group,
                                           const FetchBudget& budget);

/// Fetches ranges of the processes in `hot`, in this order; of processes that are others by now,
/// nothing. Ranges that are not mapped any more, or are in memory, cost next to nothing.
/// Errors: EPERM.
[[nodiscard]] Result<Fetched> fetch_ranges(const Tree& tree, const kernel::Cgroup& group,
                                           const HotMemory& hot,
                                           const std::vector<MemoryRange>& ranges,
                                           const FetchBudget& budget);

}  // namespace panal::optimiser
