#include "bench/density/ksm_evaluation.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace panal::bench {
namespace {

constexpr double kWindow = 900;
constexpr double kMib = 1024.0 * 1024;

/// Profit rises in a straight line from the last start until `full_at`; the CPU is used evenly.
KsmArm ramp(const std::string& name, double profit_mib, double full_at, double cores) {
  KsmArm arm;
  arm.name = name;
  for (int second = -20; second <= 910; ++second) {
    KsmPoint point;
    point.seconds = second;
    point.profit_bytes = profit_mib * kMib * std::clamp(second / full_at, 0.0, 1.0);
    point.ksmd_cpu_seconds = cores * (second + 20);
    point.cow_pages = 2 * (second + 20);
    arm.points.push_back(point);
  }
  return arm;
}

TEST(KsmEvaluation, ComparesTheGovernorWithTheBestOther) {
  const auto verdict =
      evaluate_ksm({ramp("governor", 950, 50, 0.1), ramp("advisor", 900, 400, 0.05),
                    ramp("ksmtuned", 920, 400, 0.2), ramp("fixed", 1000, 20, 0.8)},
                   kWindow);
  ASSERT_TRUE(verdict) << verdict.error().message();
  EXPECT_EQ(verdict->best, "fixed");
  EXPECT_NEAR(*verdict->profit_ratio, 0.95, 1e-6);
  EXPECT_NEAR(*verdict->cpu_ratio, 0.125, 1e-6);
  EXPECT_NEAR(verdict->common_profit_bytes, 900 * kMib, 1);
  // 810 MiB are there after 43 and 353 s.
  EXPECT_EQ(*verdict->arms[0].to_90_seconds, 43);
  EXPECT_EQ(*verdict->arms[2].to_90_seconds, 353);
  EXPECT_NEAR(*verdict->speedup, 353.0 / 43, 1e-6);
  EXPECT_NEAR(verdict->arms[3].cpu_seconds, 0.8 * 900, 1e-6);
  EXPECT_NEAR(verdict->arms[3].starts_cpu_seconds, 0.8 * 19, 1e-6);
  EXPECT_EQ(verdict->arms[3].cow_pages, 1800);
}

TEST(KsmEvaluation, TheGovernorMayBeTheBest) {
  const auto verdict =
      evaluate_ksm({ramp("fixed", 800, 20, 0.8), ramp("governor", 1000, 50, 0.2)}, kWindow);
  ASSERT_TRUE(verdict) << verdict.error().message();
  EXPECT_NEAR(*verdict->profit_ratio, 1.25, 1e-6);
  EXPECT_NEAR(*verdict->cpu_ratio, 0.25, 1e-6);
  EXPECT_FALSE(verdict->speedup) << "without ksmtuned there is nothing to be sooner than";
}

TEST(KsmEvaluation, WhatWasThereBeforeTheLastStartTookASecond) {
  auto early = ramp("governor", 500, 100, 0.1);
  for (auto& point : early.points) point.profit_bytes = 500 * kMib;
  const auto verdict = evaluate_ksm({early, ramp("ksmtuned", 500, 100, 0.1)}, kWindow);
  ASSERT_TRUE(verdict) << verdict.error().message();
  EXPECT_EQ(*verdict->arms[0].to_90_seconds, 1);
  EXPECT_EQ(*verdict->speedup, 90);
}

TEST(KsmEvaluation, AChurnLowersTheFinalProfitAndNotTheBest) {
  auto churned = ramp("governor", 1000, 50, 0.1);
  for (auto& point : churned.points)
    if (point.seconds > 480) point.profit_bytes = 900 * kMib;
  const auto verdict = evaluate_ksm({churned}, kWindow);
  ASSERT_TRUE(verdict) << verdict.error().message();
  EXPECT_NEAR(verdict->arms[0].best_profit_bytes, 1000 * kMib, 1);
  EXPECT_NEAR(verdict->arms[0].final_profit_bytes, 900 * kMib, 1);
  EXPECT_FALSE(verdict->profit_ratio) << "one arm alone compares with nothing";
}

TEST(KsmEvaluation, AnArmThatNeverBeganIsNoMeasureOfTheOthers) {
  const auto verdict = evaluate_ksm(
      {ramp("governor", 1000, 50, 0.1), ramp("fixed", 900, 20, 0.8), ramp("ksmtuned", 0, 50, 0)},
      kWindow);
  ASSERT_TRUE(verdict) << verdict.error().message();
  EXPECT_NEAR(verdict->common_profit_bytes, 900 * kMib, 1);
  EXPECT_EQ(verdict->best, "fixed");
  EXPECT_FALSE(verdict->arms[2].to_90_seconds);
  EXPECT_FALSE(verdict->speedup) << "it never got there: how much sooner is not known";
}

TEST(KsmEvaluation, RefusesWhatIsNoRun) {
  EXPECT_FALSE(evaluate_ksm({}, kWindow));
  EXPECT_FALSE(evaluate_ksm({KsmArm{"governor", {}}}, kWindow));
  EXPECT_FALSE(evaluate_ksm({ramp("governor", 0, 50, 0.1)}, kWindow)) << "nothing merged";
  auto cut = ramp("governor", 100, 50, 0.1);
  cut.points.resize(300);
  EXPECT_FALSE(evaluate_ksm({cut}, kWindow)) << "it ended early";
}

}  // namespace
}  // namespace panal::bench
