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
  input.recorded = {range(kDraws, 0, 64 * kKib), range(kDraws, 96 * kKib, 32 * kKib),
                    range(kDraws, 4 * kMib, 4 * kKib)};
  EXPECT_THAT(
      plan_reconnect(input).before_thaw,
      ElementsAre(MemoryRange{kDraws, 0, 128 * kKib}, MemoryRange{kDraws, 4 * kMib, 4 * kKib}));
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

}  // namespace
}  // namespace panal::policy
