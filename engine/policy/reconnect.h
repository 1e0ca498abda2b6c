#pragma once

#include <cstdint>
#include <vector>

#include "engine/model/decision.h"

namespace panal::policy {

/// What was fetched back at the desktop's last reconnect, in the order it was.
struct RecordedRange {
  MemoryRange range;
  bool display = false;  ///< of the process that draws (nxagent): nothing is seen without it
};

struct ReconnectInput {
  bool frozen = false;
  std::vector<RecordedRange> recorded;
  double bytes_per_second = 0;  ///< measured fetch rate; 0: not yet
};

/// Until it was measured: decompressing on one core; 550 to 750 MiB/s were seen of an idle one.
inline constexpr double kFirstFetchBytesPerSecond = 400.0 * 1024 * 1024;

/// How a desktop is woken: the display process's ranges are fetched while all of it is still
/// frozen and cannot fight over the CPU, then it is thawed, then the rest is fetched. What would
/// take longer than kPatience together is left to faults. Adjacent ranges become one.
[[nodiscard]] ReconnectDecision plan_reconnect(const ReconnectInput& input);

/// Makes of ranges (of whole pages, those of a process by address) at most `most` (> 0): neighbours
/// become one, then those with ever wider gaps between them, the gap with them; at last those of
/// the last processes are left out.
[[nodiscard]] std::vector<MemoryRange> condense_ranges(std::vector<MemoryRange> ranges,
                                                       std::size_t most);

}  // namespace panal::policy
