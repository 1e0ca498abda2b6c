// The reconnect law on what a user's return really touched (tests/fixtures/traces).
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <numeric>
#include <sstream>

#include "engine/policy/units.h"
#include "runtime/optimiser/hot_memory.h"

namespace panal::optimiser {
namespace {

class HotReplay : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file(PANAL_SOURCE_DIR "/tests/fixtures/traces/hot-xfce.txt");
    std::stringstream text;
    text << file.rdbuf();
    text_ = text.str();
    const auto saved = parse_hot_memory(text_);
    ASSERT_TRUE(saved) << saved.error().message();
    hot_ = saved->hot;
    input_.frozen = true;
    input_.recorded = recorded_ranges(hot_);
    ASSERT_GT(input_.recorded.size(), 500U);
    ASSERT_GT(bytes_of(true), 8 * policy::kMib);
  }
  [[nodiscard]] std::uint64_t bytes_of(bool display) const {
    std::uint64_t sum = 0;
    for (const policy::RecordedRange& one : input_.recorded)
      if (one.display == display) sum += one.range.bytes;
    return sum;
  }
  static std::uint64_t bytes_of(const std::vector<MemoryRange>& ranges) {
    return std::accumulate(
        ranges.begin(), ranges.end(), std::uint64_t{0},
        [](std::uint64_t sum, const MemoryRange& one) { return sum + one.bytes; });
  }
  [[nodiscard]] bool recorded(const MemoryRange& range) const {
    std::uint64_t inside = 0;
    for (const policy::RecordedRange& one : input_.recorded) {
      if (one.range.pid != range.pid) continue;
      const std::uint64_t begin = std::max(one.range.start, range.start);
      const std::uint64_t end =
          std::min(one.range.start + one.range.bytes, range.start + range.bytes);
      if (end > begin) inside += end - begin;
    }
    return inside == range.bytes;
  }

  std::string text_;
  HotMemory hot_;
  policy::ReconnectInput input_;
};

TEST_F(HotReplay, IsKeptAsItWasRecordedWithinItsBounds) {
  EXPECT_EQ(print_hot_memory({"recorded", hot_}), text_);
  EXPECT_LE(hot_.ranges(), kMostHotRanges);
  EXPECT_LE(text_.size(), 16U << 10U) << "as docs/optimiser.md says of a desktop";
}

TEST_F(HotReplay, WhatDrawsBeforeTheThawAndAllOfItInTime) {
  // What was measured of process_madvise(MADV_WILLNEED): 64 MiB in 105 ms, at the worst.
  input_.bytes_per_second = 64.0 * static_cast<double>(policy::kMib) / 0.105;
  const ReconnectDecision decision = policy::plan_reconnect(input_);
  EXPECT_TRUE(decision.thaw);
  EXPECT_EQ(bytes_of(decision.before_thaw), bytes_of(true));
  EXPECT_EQ(bytes_of(decision.after_thaw), bytes_of(false));
}

TEST_F(HotReplay, FetchesNothingThatWasNotTouched) {
  const ReconnectDecision decision = policy::plan_reconnect(input_);
  for (const MemoryRange& one : decision.before_thaw) EXPECT_TRUE(recorded(one)) << one.start;
  for (const MemoryRange& one : decision.after_thaw) EXPECT_TRUE(recorded(one)) << one.start;
}

TEST_F(HotReplay, OnASlowMachineWhatDrawsComesFirstAndTheRestIsLeftToFaults) {
  // A tenth of a second for what draws, and a byte.
  input_.bytes_per_second = 10.0 * static_cast<double>(bytes_of(true) + 1);
  const ReconnectDecision decision = policy::plan_reconnect(input_);
  EXPECT_EQ(bytes_of(decision.before_thaw), bytes_of(true));
  EXPECT_EQ(bytes_of(decision.after_thaw), 0U);
  input_.bytes_per_second /= 2;
  const std::uint64_t half = bytes_of(policy::plan_reconnect(input_).before_thaw);
  EXPECT_NEAR(static_cast<double>(half), static_cast<double>(bytes_of(true)) / 2,
              static_cast<double>(policy::kPageBytes));
}

}  // namespace
}  // namespace panal::optimiser
