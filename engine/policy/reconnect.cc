#include "engine/policy/reconnect.h"

#include <algorithm>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

/// The first frame may come 150 ms later than that of a desktop that kept its memory; a third of
/// it is for thawing and drawing.
constexpr double kPatienceSeconds = 0.1;
/// As many as are recorded of a desktop. A range more costs less than a page that nobody wants
/// (5 us), so only neighbours are joined.
constexpr std::size_t kMostRanges = 1024;
/// Joining across more than that fetches more of what nobody wants than of what somebody does.
constexpr std::uint64_t kWidestGapBytes = 256 * kKib;

/// Lists what fits, in order; a range that fits in part is cut.
std::vector<MemoryRange> take(const std::vector<RecordedRange>& recorded, bool display,
                              std::uint64_t& budget) {
  std::vector<MemoryRange> taken;
  for (const RecordedRange& entry : recorded) {
    if (entry.display != display || entry.range.bytes == 0 || budget < kPageBytes) continue;
    MemoryRange range = entry.range;
    if (range.start > UINT64_MAX - range.bytes) continue;  // no such range
    range.bytes = std::min(range.bytes, budget / kPageBytes * kPageBytes);
    if (!taken.empty()) {
      MemoryRange& before = taken.back();
      const std::uint64_t end = before.start + before.bytes;
      if (before.pid == range.pid && range.start == end) {
        before.bytes += range.bytes;
        budget -= range.bytes;
        continue;
      }
    }
    if (taken.size() == kMostRanges) break;
    taken.push_back(range);
    budget -= range.bytes;
  }
  return taken;
}

}  // namespace

ReconnectDecision plan_reconnect(const ReconnectInput& input) {
  const double speed =
      input.bytes_per_second > 0 ? input.bytes_per_second : kFirstFetchBytesPerSecond;
  std::uint64_t budget = whole(speed * kPatienceSeconds);
  ReconnectDecision decision;
  decision.thaw = input.frozen;
  decision.before_thaw = take(input.recorded, true, budget);
  decision.after_thaw = take(input.recorded, false, budget);
  return decision;
}

std::vector<MemoryRange> condense_ranges(std::vector<MemoryRange> ranges, std::size_t most) {
  for (std::uint64_t gap = 0; gap <= kWidestGapBytes; gap = std::max(2 * gap, kPageBytes)) {
    std::size_t last = 0;
    for (std::size_t i = 1; i < ranges.size(); ++i) {
      MemoryRange& before = ranges[last];
      const std::uint64_t end = before.start + before.bytes;
      const MemoryRange& range = ranges[i];
      if (range.pid == before.pid && range.start >= end && range.start - end <= gap) {
        before.bytes = range.start + range.bytes - before.start;
      } else {
        ranges[++last] = range;
      }
    }
    if (!ranges.empty()) ranges.resize(last + 1);
    if (ranges.size() <= most) break;
  }
  if (ranges.size() > most) ranges.resize(most);
  return ranges;
}

}  // namespace panal::policy
