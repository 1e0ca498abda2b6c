#include "runtime/node/warm_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::node {
namespace {

using std::chrono::seconds;
using store::Desired;
using store::Observed;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kBudget = 1024 * kMiB;
constexpr std::uint64_t kMost = 512 * kMiB;

MonotonicNs at(std::int64_t s) { return s * 1'000'000'000; }

store::Desktop desktop(const std::string& image, const std::string& pinned, Desired desired,
                       Observed observed, const std::string& runs = "") {
  store::Desktop row;
  row.image = image;
  row.version = pinned;
  row.desired = desired;
  row.observed = observed;
  row.running_version = runs;
  return row;
}

TEST(WarmDemands, AreCountedByVersion) {
  constexpr Desired kWanted = Desired::kRunning;
  std::vector<store::Desktop> rows{
      desktop("icewm", "", kWanted, Observed::kRunning, "1"),
      desktop("icewm", "", kWanted, Observed::kRunning, "1"),
      desktop("icewm", "", kWanted, Observed::kStopped),
      desktop("icewm", "", kWanted, Observed::kComposing, "2"),
      desktop("icewm", "", Desired::kStopped, Observed::kStopped),
      desktop("icewm", "1", kWanted, Observed::kFailed),
      desktop("xfce", "7", kWanted, Observed::kStarting),
      desktop("bare", "", kWanted, Observed::kStopped),
  };
  rows.push_back(rows[5]);
  rows.back().generation = 1;  // asked again since it failed
  std::vector<const store::Desktop*> pointers;
  for (const auto& row : rows) pointers.push_back(&row);
  const auto demands =
      warm_demands(pointers, {{"icewm", "2"}, {"xfce", "8"}, {"gnome", "1"}, {"bare", ""}});
  EXPECT_THAT(
      demands,
      ElementsAre(WarmDemand{"icewm", "1", 2, 1, false}, WarmDemand{"icewm", "2", 0, 2, true},
                  WarmDemand{"xfce", "7", 0, 1, false}, WarmDemand{"xfce", "8", 0, 0, true}));
  EXPECT_THAT(warm_demands({}, {{"icewm", "2"}}), IsEmpty());
}

WarmVersion version(const char* name, std::uint32_t running, std::uint32_t wanting = 0) {
  WarmVersion out;
  out.demand = {"icewm", name, running, wanting, false};
  return out;
}

WarmVersion recorded(const char* name, std::uint32_t running, std::uint32_t wanting = 0) {
  WarmVersion out = version(name, running, wanting);
  out.record = 0;
  return out;
}

std::optional<WarmJob> next(const std::vector<WarmVersion>& versions, std::int64_t now_s = 1000,
                            std::uint64_t budget = kBudget) {
  return next_warm_job(versions, budget, kMost, at(now_s));
}

TEST(WarmPlan, NothingIsDoneForWhatNobodyUses) {
  EXPECT_FALSE(next({}));
  EXPECT_FALSE(next({recorded("1", 0)}));
  EXPECT_FALSE(next({version("1", 0)}));
}

TEST(WarmPlan, ARecordIsTouchedOnceAtFullSpeedThenSlowly) {
  std::vector<WarmVersion> versions{recorded("1", 3)};
  auto job = next(versions);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->act, WarmAct::kTouch);
  EXPECT_EQ(job->bytes_per_second, 0U);
  EXPECT_EQ(job->most_bytes, kBudget);
  EXPECT_FALSE(job->other);

  versions[0].looked_ns = at(1000);
  EXPECT_FALSE(next(versions, 1059));
  job = next(versions, 1060);
  ASSERT_TRUE(job);
  EXPECT_GT(job->bytes_per_second, 0U);
  versions[0].pause = seconds(600);
  EXPECT_FALSE(next(versions, 1599));
  EXPECT_TRUE(next(versions, 1600));
}

TEST(WarmPlan, TheDefaultOfAnImageIsWarmBeforeItsFirstDesktop) {
  WarmVersion published = recorded("2", 0);
  published.demand.is_default = true;
  EXPECT_TRUE(next({published}));
}

TEST(WarmPlan, AStormIsGoneBefore) {
  std::vector<WarmVersion> versions{recorded("1", 90), recorded("2", 0, 3)};
  versions[0].looked_ns = versions[1].looked_ns = at(1000);
  versions[0].pause = versions[1].pause = seconds(900);
  EXPECT_FALSE(next(versions, 1030)) << "three are no storm";
  versions[1].demand.wanting = 4;
  EXPECT_FALSE(next(versions, 1019)) << "seen a moment ago";
  const auto job = next(versions, 1030);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->index, 1U);
  EXPECT_EQ(job->bytes_per_second, 0U);
  EXPECT_EQ(job->most, seconds(10));
  // Before what was never touched.
  versions.push_back(recorded("3", 5));
  EXPECT_EQ(next(versions, 1030)->index, 1U);
}

TEST(WarmPlan, WhatDoesNotFitIsThatOfTheLeastNeeded) {
  std::vector<WarmVersion> versions{recorded("1", 1), recorded("2", 50)};
  versions[1].looked_ns = at(1000);
  versions[1].pause = seconds(900);
  versions[1].hot_bytes = 150 * kMiB;
  const auto job = next(versions, 1000, 200 * kMiB);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->index, 0U);
  EXPECT_EQ(job->most_bytes, 50 * kMiB);
  EXPECT_FALSE(next(versions, 1000, 152 * kMiB)) << "too little to bother";
  EXPECT_FALSE(next(versions, 1000, 0));
}

TEST(WarmPlan, AVersionWithoutARecordIsCooledThenRecorded) {
  std::vector<WarmVersion> versions{version("1", 0, 1)};
  EXPECT_FALSE(next(versions)) << "not in the middle of a start";
  versions[0].demand = {"icewm", "1", 1, 0, false};
  auto job = next(versions);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->act, WarmAct::kCool);
  versions[0].cooled = true;
  EXPECT_FALSE(next(versions)) << "until a desktop has come up";
  versions[0].settled = true;
  job = next(versions, 1000, 0);
  ASSERT_TRUE(job) << "a record needs no memory";
  EXPECT_EQ(job->act, WarmAct::kRecord);
  EXPECT_EQ(job->generation, 0U);
  EXPECT_EQ(job->most_bytes, kMost);
  versions[0].record = 0;
  EXPECT_EQ(next(versions)->act, WarmAct::kTouch);
}

TEST(WarmPlan, ANewVersionBeginsWithTheFormerOnesPages) {
  std::vector<WarmVersion> versions{version("2", 0)};
  versions[0].demand.is_default = true;
  versions[0].other_record = 2;
  EXPECT_EQ(next(versions)->act, WarmAct::kCool) << "who built it has all of it in the cache";
  versions[0].cooled = true;
  for (const std::uint32_t generation : {0U, 1U, 2U, 3U}) {
    versions[0].other_record = generation;
    const auto job = next(versions);
    ASSERT_TRUE(job);
    EXPECT_EQ(job->act, WarmAct::kTouch) << generation;
    EXPECT_TRUE(job->other);
  }
  versions[0].other_record = 4;
  EXPECT_FALSE(next(versions)) << "too far from a cold start: this one is to be";
  versions[0].settled = true;
  EXPECT_EQ(next(versions)->generation, 0U);
  versions[0].other_record = 2;
  versions[0].looked_ns = at(999);
  EXPECT_EQ(next(versions)->act, WarmAct::kRecord);
  EXPECT_EQ(next(versions)->generation, 3U);
}

TEST(WarmPlan, AStormDoesNotWaitForCoolingAndIsNotRecorded) {
  std::vector<WarmVersion> versions{version("2", 0, 40)};
  versions[0].other_record = 0;
  const auto job = next(versions);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->act, WarmAct::kTouch);
  versions[0].looked_ns = at(1000);
  versions[0].settled = true;
  EXPECT_FALSE(next(versions, 1000));
  versions[0].demand = {"icewm", "2", 40, 0, true};
  EXPECT_EQ(next(versions, 1000)->act, WarmAct::kCool);
}

TEST(WarmPlan, WhatFailedIsLetBeForAWhile) {
  for (WarmVersion one : {recorded("1", 1), version("1", 1)}) {
    one.failed = true;
    one.looked_ns = at(1000);
    EXPECT_FALSE(next({one}, 1599));
    EXPECT_TRUE(next({one}, 1600));
  }
}

TEST(WarmPlan, LooksMoreSeldomWhileNothingIsEvicted) {
  EXPECT_EQ(next_warm_pause(seconds(60), 100 * kMiB, 0), seconds(120));
  EXPECT_EQ(next_warm_pause(seconds(600), 100 * kMiB, 5 * kMiB), seconds(900));
  EXPECT_EQ(next_warm_pause(seconds(900), 100 * kMiB, 0), seconds(900));
  EXPECT_EQ(next_warm_pause(seconds(900), 100 * kMiB, 6 * kMiB), seconds(60));
  EXPECT_EQ(next_warm_pause(seconds(0), 0, 0), seconds(60));
}

}  // namespace
}  // namespace panal::node
