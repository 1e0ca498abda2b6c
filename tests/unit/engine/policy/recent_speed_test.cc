#include "engine/policy/recent_speed.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

constexpr double kFirst = 80.0 * kMib;

TEST(RecentSpeed, BeginsWithWhatIsAssumedAndLearns) {
  RecentSpeed speed(kFirst);
  EXPECT_DOUBLE_EQ(speed.bytes_per_cpu_second(5 * kSecond), kFirst);
  for (int i = 0; i < 100; ++i) speed.add(20.0 * kMib, 1, i * kSecond);
  EXPECT_NEAR(speed.bytes_per_cpu_second(100 * kSecond), 20.0 * kMib, 1.0 * kMib);
}

TEST(RecentSpeed, HalfOfItCountsAfterTenMinutes) {
  RecentSpeed speed(kFirst);
  speed.add(0, 2, kMinute);
  EXPECT_NEAR(speed.bytes_per_cpu_second(kMinute), kFirst / 3, 1);
  EXPECT_NEAR(speed.bytes_per_cpu_second(11 * kMinute), kFirst / 2, 1);
  EXPECT_NEAR(speed.bytes_per_cpu_second(24 * 60 * kMinute), kFirst, 1);
}

TEST(RecentSpeed, IsNeverBelowNothingWhateverItIsGiven) {
  RecentSpeed speed(kFirst);
  speed.add(-5, -1, kMinute);
  speed.add(0, 1e9, kMinute);
  speed.add(0, 1, 0);  // a clock that goes back
  EXPECT_GT(speed.bytes_per_cpu_second(0), 0);
  EXPECT_LE(speed.bytes_per_cpu_second(kMinute), kFirst);
}

}  // namespace
}  // namespace panal::policy
