#include "engine/policy/reconnect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int32_t kDraws = 7;
constexpr std::int32_t kProgram = 9;

RecordedRange range(std::int32_t pid, std::uint64_t start, std::uint64_t bytes) {
  return {{pid, start, bytes}, pid == kDraws};
}

TEST(Reconnect, FetchesWhatDrawsBeforeItThaws) {
  ReconnectInput input;
  input.frozen = true;
  input.recorded = {range(kProgram, kMib, 64 * kKib), range(kDraws, 2 * kMib, 64 * kKib)};
  const ReconnectDecision decision = plan_reconnect(input);
  EXPECT_TRUE(decision.thaw);
  EXPECT_THAT(decision.before_thaw, ElementsAre(MemoryRange{kDraws, 2 * kMib, 64 * kKib}));
  EXPECT_THAT(decision.after_thaw, ElementsAre(MemoryRange{kProgram, kMib, 64 * kKib}));
  input.frozen = false;
  EXPECT_FALSE(plan_reconnect(input).thaw);
}

TEST(Reconnect, JoinsNeighboursOfOneProcessOnly) {
  ReconnectInput input;
  input.recorded = {range(kDraws, 0, 64 * kKib), range(kDraws, 64 * kKib, 64 * kKib),
                    range(kDraws, 132 * kKib, 4 * kKib)};
  EXPECT_THAT(
      plan_reconnect(input).before_thaw,
      ElementsAre(MemoryRange{kDraws, 0, 128 * kKib}, MemoryRange{kDraws, 132 * kKib, 4 * kKib}));
  input.recorded = {range(kProgram, 0, 4 * kKib), {{kProgram + 1, 4 * kKib, 4 * kKib}, false}};
  EXPECT_EQ(plan_reconnect(input).after_thaw.size(), 2U);
}

TEST(Reconnect, LeavesToFaultsWhatWouldTakeTooLong) {
  ReconnectInput input;
  input.bytes_per_second = 100.0 * kMib;  // a tenth of a second: 10 MiB
  input.recorded = {range(kProgram, 0, 8 * kMib), range(kDraws, 64 * kMib, 8 * kMib)};
  const ReconnectDecision decision = plan_reconnect(input);
  EXPECT_THAT(decision.before_thaw, ElementsAre(MemoryRange{kDraws, 64 * kMib, 8 * kMib}));
  ASSERT_EQ(decision.after_thaw.size(), 1U);
  EXPECT_EQ(decision.after_thaw[0].bytes, 2 * kMib) << "what draws comes first";
}

TEST(Reconnect, PassesOverWhatIsNoRange) {
  ReconnectInput input;
  input.recorded = {range(kDraws, 0, 0), range(kDraws, UINT64_MAX - kMib, 2 * kMib)};
  const ReconnectDecision decision = plan_reconnect(input);
  EXPECT_THAT(decision.before_thaw, IsEmpty());
  EXPECT_THAT(decision.after_thaw, IsEmpty());
}

MemoryRange piece(std::int32_t pid, std::uint64_t page, std::uint64_t pages) {
  return {pid, page * kPageBytes, pages * kPageBytes};
}

TEST(CondenseRanges, NeighboursBecomeOneWhateverTheirNumber) {
  EXPECT_THAT(
      condense_ranges({piece(1, 10, 2), piece(1, 12, 1), piece(2, 13, 1), piece(2, 20, 1)}, 100),
      ElementsAre(piece(1, 10, 3), piece(2, 13, 1), piece(2, 20, 1)));
  EXPECT_THAT(condense_ranges({}, 1), IsEmpty());
}

TEST(CondenseRanges, NarrowGapsAreGivenUpFirst) {
  const std::vector<MemoryRange> ranges = {piece(1, 0, 1), piece(1, 2, 1), piece(1, 10, 1),
                                           piece(1, 14, 1), piece(1, 1000, 1)};
  EXPECT_EQ(condense_ranges(ranges, 5), ranges);
  EXPECT_THAT(condense_ranges(ranges, 4),
              ElementsAre(piece(1, 0, 3), piece(1, 10, 1), piece(1, 14, 1), piece(1, 1000, 1)));
  EXPECT_THAT(condense_ranges(ranges, 3),
              ElementsAre(piece(1, 0, 3), piece(1, 10, 5), piece(1, 1000, 1)));
  // Nothing joins what is megabytes apart: then the last are left out.
  EXPECT_THAT(condense_ranges(ranges, 1), ElementsAre(piece(1, 0, 15)));
}

TEST(CondenseRanges, StaysWithinItsBoundForAnyTable) {
  std::vector<MemoryRange> ranges;
  for (std::int32_t pid = 1; pid <= 5; ++pid)
    for (std::uint64_t i = 0; i < 3000; ++i) ranges.push_back(piece(pid, i * i, 1));
  std::uint64_t wanted = 0;
  for (const MemoryRange& range : ranges) wanted += range.bytes;
  const auto few = condense_ranges(ranges, 1000);
  EXPECT_LE(few.size(), 1000U);
  EXPECT_EQ(few.front(), piece(1, 0, few.front().bytes / kPageBytes));
  // In order, none over another.
  for (std::size_t i = 1; i < few.size(); ++i) {
    if (few[i].pid != few[i - 1].pid) continue;
    EXPECT_GT(few[i].start, few[i - 1].start + few[i - 1].bytes);
  }
}

}  // namespace
}  // namespace panal::policy
