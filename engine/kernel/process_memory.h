#pragma once

#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"

namespace panal::kernel {

/// Part of another process's address space, in bytes; whole pages.
struct AddressRange {
  std::uint64_t start = 0;
  std::uint64_t bytes = 0;

  [[nodiscard]] bool operator==(const AddressRange&) const = default;
};

enum class MemoryAdvice {
  kPageOut,   ///< reclaim now: to swap, or dropped where a file has it (MADV_PAGEOUT)
  kCold,      ///< first to go when memory gets short (MADV_COLD)
  kWillNeed,  ///< begin to read back what is swapped out (MADV_WILLNEED)
};

struct AdviceBudget {
  std::chrono::steady_clock::time_point deadline;  ///< looked at between system calls
  std::uint64_t bytes = UINT64_MAX;                ///< of address space
  /// Of one system call, and so how far past the deadline it may go: 4 MiB took 7 ms.
  std::uint64_t bytes_per_call = 4 << 20;
};

/// What was asked of the kernel. It is no measure of what was reclaimed: the kernel skips pages
/// that are shared (merged by KSM, or with other processes) and says nothing of it. Measure
/// smaps_rollup or the group's charge before and after.
struct AdviceProgress {
  std::uint64_t advised_bytes = 0;  ///< of address space, taken by the kernel
  std::uint64_t refused_bytes = 0;  ///< of ranges it did not take (locked, unmapped since)
  int last_refusal = 0;             ///< errno; 0: none
  bool complete = false;            ///< all ranges were gone through
  AddressRange next;                ///< where to go on when not complete: the rest of this range,
  std::size_t next_index = 0;       ///< then those behind it
};

/// Advises ranges of another process, in batches. It goes on behind a range that the kernel
/// refuses. Needs CAP_SYS_NICE and the right to trace the process.
/// Errors: ESRCH when it has ended; EPERM; ENOSYS before Linux 5.10.
[[nodiscard]] Result<AdviceProgress> advise_process(const Pidfd& process,
                                                    std::span<const AddressRange> ranges,
                                                    MemoryAdvice advice,
                                                    const AdviceBudget& budget);

/// One system call on a batch: bytes taken from the front on, or -1 and errno.
using AdviceCall = std::function<ssize_t(std::span<const iovec>)>;

/// The batching of advise_process(), with any call in the kernel's place.
[[nodiscard]] Result<AdviceProgress> advise_ranges(std::span<const AddressRange> ranges,
                                                   const AdviceBudget& budget,
                                                   const AdviceCall& call);

}  // namespace panal::kernel
