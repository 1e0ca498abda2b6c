#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/memory.h"

namespace panal::kernel {

/// Sums that an older kernel does not print are 0 (pss_anon etc. before 5.4, pss_dirty before 6.0,
/// ksm before 6.7). Errors: EPROTO without Rss and Pss, or when a known line is no number of kB.
[[nodiscard]] Result<SmapsRollup> parse_smaps_rollup(std::string_view text);

/// Walks the page tables of the process under its mmap lock: about 1 ms for 64 MiB.
/// Errors: ESRCH when the process is gone, a zombie or a kernel thread; EPROTO.
[[nodiscard]] Result<SmapsRollup> read_smaps_rollup(const Tree& tree, pid_t pid);

/// Adds up processes.
void add(SmapsRollup& sum, const SmapsRollup& one);

/// One mapping of a process; sizes in bytes.
struct MemoryMapping {
  std::uint64_t start = 0;  ///< address
  std::uint64_t bytes = 0;  ///< length
  std::uint64_t rss = 0;
  std::uint64_t anon = 0;  ///< resident anonymous memory, KSM's with it
  std::uint64_t swap = 0;
  std::uint64_t ksm = 0;
  bool locked = false;  ///< mlock, hugetlbfs or a device: madvise refuses it

  [[nodiscard]] bool operator==(const MemoryMapping&) const = default;
};

/// Reads the text of smaps piece by piece, as large processes have megabytes of it.
class SmapsParser {
 public:
  /// Takes the next piece, cut anywhere. Errors: EPROTO; the parser is of no use then.
  [[nodiscard]] Result<void> feed(std::string_view piece);
  /// Mappings that are complete, and not taken yet.
  [[nodiscard]] std::vector<MemoryMapping> take();
  /// No text follows: the last mapping is complete. Errors: EPROTO for half a line.
  [[nodiscard]] Result<void> finish();

 private:
  [[nodiscard]] Result<void> line(std::string_view text);

  std::string rest_;  ///< a line without its end
  bool open_ = false;
  MemoryMapping current_;
  std::vector<MemoryMapping> done_;
};

struct SmapsBudget {
  std::chrono::steady_clock::time_point deadline;  ///< looked at before each read(2) of 32 KiB
  std::uint64_t text_bytes = 4 << 20;              ///< read at most so much
  std::uint64_t least_bytes = 4096;  ///< leave out mappings with less anon + swap than that
  std::uint64_t from_address = 0;    ///< leave out mappings below (where an earlier walk stopped)
};

struct SmapsWalk {
  std::vector<MemoryMapping> mappings;  ///< by address, those with anonymous or swapped memory
  std::uint64_t text_bytes = 0;         ///< read
  bool complete = false;
  std::uint64_t next_address = 0;  ///< where to go on when not complete
};

/// The mappings of a process that have anonymous memory. Blocks the process's page faults for
/// parts of that time, and costs CPU for the mappings it leaves out too: run it in a worker, and
/// rarely. A walk that goes on at an address reads what is before it again.
/// Errors: ESRCH when the process is gone; EPROTO.
[[nodiscard]] Result<SmapsWalk> walk_smaps(const Tree& tree, pid_t pid, const SmapsBudget& budget);

}  // namespace panal::kernel
