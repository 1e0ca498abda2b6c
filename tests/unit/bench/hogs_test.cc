#include "bench/density/hogs.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

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

TEST(Hogs, ABystandersProcessesAreCountedWhoeverKilledThem) {
  const auto stats = nlohmann::json::parse(R"({"desktops": [
    {"id": 1, "oom_kills": 0}, {"id": 2, "oom_kills": 0, "killed_processes": 1},
    {"id": 3, "oom_kills": 2, "killed_processes": 3}, {"id": 4}]})");
  EXPECT_EQ(lost_processes(stats, {1, 4}).value(), 0U);
  EXPECT_EQ(lost_processes(stats, {1, 2}).value(), 1U);
  EXPECT_EQ(lost_processes(stats, {1, 2, 3}).value(), 6U);
  const auto gone = lost_processes(stats, {1, 5});
  ASSERT_FALSE(gone) << "it is not one that lost nothing";
  EXPECT_EQ(gone.error().code, ENOENT);
}

}  // namespace
}  // namespace panal::bench
