#include "bench/density/hogs.h"

#include <gtest/gtest.h>

namespace panal::bench {
namespace {

TEST(Hogs, MayCostATenthOrTwentyMilliseconds) {
  EXPECT_TRUE(judge_hog({30, 30, 30}, {50, 50, 50}).pass);
  EXPECT_FALSE(judge_hog({30, 30, 30}, {51, 51, 51}).pass);
  EXPECT_TRUE(judge_hog({80, 80, 80}, {99, 99, 99}).pass);
  EXPECT_FALSE(judge_hog({95, 95, 95}, {101, 101, 101}).pass) << "nor may it pass 100 ms";
}

TEST(Hogs, AreJudgedByMedians) {
  const HogVerdict verdict = judge_hog({30, 31, 500, 29, 30}, {40, 900, 41, 39, 40});
  EXPECT_TRUE(verdict.pass);
  EXPECT_EQ(verdict.without_ms, 30);
  EXPECT_EQ(verdict.with_ms, 40);
  EXPECT_FALSE(judge_hog({}, {}).pass) << "nothing was seen";
}

}  // namespace
}  // namespace panal::bench
