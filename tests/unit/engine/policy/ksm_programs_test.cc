#include "engine/policy/ksm_programs.h"

#include <gtest/gtest.h>

namespace panal::policy {
namespace {

KsmProcess process(double profit_bytes) {
  KsmProcess one;
  one.merge_any = true;
  one.profit_bytes = static_cast<std::int64_t>(profit_bytes);
  return one;
}

void observe(KsmPrograms& programs, double profit, int times) {
  for (int i = 0; i < times; ++i) programs.observe("xfce/browser", process(profit), 5, i);
}

TEST(KsmPrograms, EnlistsTheUnknown) {
  KsmPrograms programs;
  EXPECT_TRUE(programs.enlist("xfce/browser"));
  EXPECT_TRUE(programs.all().empty());  // asking teaches nothing
}

TEST(KsmPrograms, LeavesOutWhoLosesThrice) {
  KsmPrograms programs;
  observe(programs, -100e3, 2);
  EXPECT_TRUE(programs.enlist("xfce/browser"));
  observe(programs, -100e3, 1);
  EXPECT_FALSE(programs.enlist("xfce/browser"));
  EXPECT_TRUE(programs.enlist("xfce/panel"));
}

TEST(KsmPrograms, SmallLossesAreNone) {
  KsmPrograms programs;
  observe(programs, -10e3, 50);
  EXPECT_TRUE(programs.enlist("xfce/browser"));
}

TEST(KsmPrograms, JudgesNoYoungAndNoUnlistedProcess) {
  KsmPrograms programs;
  KsmProcess unlisted = process(-1e6);
  unlisted.merge_any = false;
  for (int i = 0; i < 9; ++i) {
    programs.observe("a", process(-1e6), 1, i);
    programs.observe("b", unlisted, 9, i);
  }
  EXPECT_TRUE(programs.all().empty());
}

TEST(KsmPrograms, TriesAgainMoreAndMoreRarely) {
  KsmPrograms programs;
  observe(programs, -100e3, 3);
  std::vector<int> tried;
  for (int start = 1; start <= 1000; ++start) {
    if (!programs.enlist("xfce/browser")) continue;
    tried.push_back(start);
    observe(programs, -100e3, 1);
  }
  EXPECT_EQ(tried, (std::vector<int>{50, 150, 350, 750}));
}

TEST(KsmPrograms, TakesBackWhoWinsNow) {
  KsmPrograms programs;
  observe(programs, -100e3, 3);
  ASSERT_FALSE(programs.enlist("xfce/browser"));
  observe(programs, 30e3, 1);  // not enough
  EXPECT_FALSE(programs.enlist("xfce/browser"));
  observe(programs, 200e3, 1);
  EXPECT_TRUE(programs.enlist("xfce/browser"));
}

TEST(KsmPrograms, IsBoundedAndForgetsTheLongestUnseen) {
  KsmPrograms programs;
  for (int i = 0; i < 2000; ++i) programs.observe("p" + std::to_string(i), process(-1e6), 5, i);
  EXPECT_EQ(programs.all().size(), KsmPrograms::kMost);
  EXPECT_EQ(programs.all().count("p0"), 0U);
  EXPECT_EQ(programs.all().count("p1999"), 1U);
}

TEST(KsmPrograms, IsTheSameAfterARestart) {
  KsmPrograms programs;
  observe(programs, -100e3, 3);
  KsmPrograms restarted;
  restarted.restore(programs.all());
  EXPECT_EQ(restarted.all(), programs.all());
  EXPECT_FALSE(restarted.enlist("xfce/browser"));
}

}  // namespace
}  // namespace panal::policy
