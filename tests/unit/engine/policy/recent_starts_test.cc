#include "engine/policy/recent_starts.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

TEST(RecentStarts, WithoutAnyWhatIsUsedIsUsed) {
  RecentStarts starts;
  starts.saw(0, {100, 7});
  starts.saw(10 * kSecond, {80, 9});
  EXPECT_EQ(starts.expected(0, 50), 80);
  EXPECT_EQ(starts.expected(1, 50), 9);
}

TEST(RecentStarts, WhatTheyWillTakeCountsOnceAsTheyTakeIt) {
  RecentStarts starts;
  starts.saw(0, {100});
  for (int i = 1; i <= 4; ++i) starts.started(i * kSecond / 10);
  starts.saw(kSecond, {100});
  EXPECT_EQ(starts.expected(0, 10), 140);
  starts.saw(2 * kSecond, {130});
  EXPECT_EQ(starts.expected(0, 10), 140);
  starts.saw(3 * kSecond, {160});
  EXPECT_EQ(starts.expected(0, 10), 160) << "they took more than was thought";
}

TEST(RecentStarts, TheyHaveTakenItAfterAWhile) {
  RecentStarts starts;
  starts.saw(0, {100});
  starts.started(kSecond);
  starts.saw(20 * kSecond, {105});
  EXPECT_EQ(starts.expected(0, 10), 110);
  starts.saw(RecentStarts::kGrowNs + 2 * kSecond, {105});
  EXPECT_EQ(starts.expected(0, 10), 105);
}

TEST(RecentStarts, LaterOnesAreCountedFromALaterLook) {
  RecentStarts starts;
  for (int second = 0; second <= 100; ++second) {
    starts.saw(second * kSecond, {100.0 + 10 * second});
    starts.started(second * kSecond);
  }
  // Thirty and some of ten each, upon what was used thirty seconds ago: none is counted twice.
  EXPECT_NEAR(starts.expected(0, 10), 1'100, 20);
}

TEST(RecentStarts, OtherResourcesThanBeforeBeginAnew) {
  RecentStarts starts;
  starts.saw(0, {100, 50});
  starts.started(kSecond);
  starts.saw(2 * kSecond, {60});
  EXPECT_EQ(starts.expected(0, 10), 60);
}

}  // namespace
}  // namespace panal::policy
