#include "engine/policy/long_mean.h"

#include <gtest/gtest.h>

namespace panal::policy {
namespace {

constexpr double kLook = 30;

TEST(LongMean, IsKnownAfterTenMinutes) {
  LongMean mean;
  EXPECT_EQ(mean.value(), 0);
  for (int look = 0; look < 19; ++look) mean.add(kLook, 7);
  EXPECT_FALSE(mean.known());
  mean.add(kLook, 7);
  EXPECT_TRUE(mean.known());
  EXPECT_NEAR(mean.value(), 7, 1e-9) << "the first minutes are no mean with nothing";
}

TEST(LongMean, ABurstIsNoLongRunDemandAndADemandEndsAtOnce) {
  LongMean mean;
  for (int look = 0; look < 100; ++look) mean.add(kLook, 0.5);
  int looks = 0;
  for (; mean.value() < 0.9; ++looks) mean.add(kLook, 1);
  EXPECT_NEAR(looks * kLook / 60, 16, 1);
  for (int look = 0; look < 200; ++look) mean.add(kLook, 1);
  for (looks = 0; mean.value() >= 0.9; ++looks) mean.add(kLook, 0);
  EXPECT_LE(looks, 3);
}

TEST(LongMean, NonsenseIsNotAdded) {
  LongMean mean;
  mean.add(kLook, 3);
  mean.add(0, 100);
  mean.add(-5, 100);
  mean.add(kLook, 0.0 / 0.0);
  EXPECT_EQ(mean.value(), 3);
}

}  // namespace
}  // namespace panal::policy
