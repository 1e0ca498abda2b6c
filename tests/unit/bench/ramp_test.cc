#include "bench/density/ramp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace panal::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

StepSeen well(std::size_t count) {
  return {.count = count, .short_of = {}, .typed = true, .keys = 60, .lost = 0, .p99_ms = 40};
}
StepSeen slow(std::size_t count) {
  StepSeen seen = well(count);
  seen.p99_ms = 140;
  return seen;
}
StepSeen refused(std::size_t count) {
  StepSeen seen = well(count);
  seen.short_of = "starts are refused: desk470: no room";
  return seen;
}

/// All steps of a ramp in which every number above `most` is slow.
std::vector<Step> steps_to(Ramp& ramp, std::size_t most) {
  std::vector<Step> out;
  while (const auto step = ramp.next()) {
    out.push_back(*step);
    ramp.saw(step->count > most ? slow(step->count) : well(step->count));
    if (out.size() > 50) break;
  }
  return out;
}

TEST(Ramp, GoesToTheTargetInEqualSteps) {
  Ramp ramp({.target = 400, .steps = 5});
  EXPECT_THAT(steps_to(ramp, 1000),
              ElementsAre(Step{StepKind::kTarget, 80}, Step{StepKind::kTarget, 160},
                          Step{StepKind::kTarget, 240}, Step{StepKind::kTarget, 320},
                          Step{StepKind::kTarget, 400}));
  EXPECT_EQ(ramp.holds(), 400U);
}

TEST(Ramp, ReachesTheTargetThoughKeysAreSlowAndCountsWhatHeld) {
  Ramp ramp({.target = 400, .steps = 4, .aim = 800, .lot = 50});
  EXPECT_EQ(steps_to(ramp, 250).size(), 4U) << "and nothing is added to a target that did not hold";
  EXPECT_EQ(ramp.holds(), 200U);
  EXPECT_THAT(ramp.ended(), HasSubstr("140 ms"));
}

TEST(Ramp, GoesBeyondUntilOneDoesNotHoldAndHoldsTheLastThatDid) {
  Ramp ramp({.target = 400, .steps = 1, .aim = 800, .lot = 50});
  EXPECT_THAT(steps_to(ramp, 520),
              ElementsAre(Step{StepKind::kTarget, 400}, Step{StepKind::kBeyond, 450},
                          Step{StepKind::kBeyond, 500}, Step{StepKind::kBeyond, 550},
                          Step{StepKind::kLast, 500}));
  EXPECT_EQ(ramp.holds(), 500U);
}

TEST(Ramp, GoesBackWhenNothingBeyondTheTargetHolds) {
  Ramp ramp({.target = 400, .steps = 1, .aim = 800, .lot = 50});
  EXPECT_THAT(steps_to(ramp, 400),
              ElementsAre(Step{StepKind::kTarget, 400}, Step{StepKind::kBeyond, 450},
                          Step{StepKind::kBack, 400}));
  EXPECT_EQ(ramp.holds(), 400U);
}

TEST(Ramp, EndsAtTheAimAlsoWhenItIsNoWholeLotAway) {
  Ramp ramp({.target = 400, .steps = 1, .aim = 480, .lot = 50});
  EXPECT_THAT(steps_to(ramp, 1000),
              ElementsAre(Step{StepKind::kTarget, 400}, Step{StepKind::kBeyond, 450},
                          Step{StepKind::kBeyond, 480}, Step{StepKind::kLast, 480}));
  EXPECT_EQ(ramp.holds(), 480U);
  EXPECT_EQ(ramp.ended(), "the aim is reached");
}

TEST(Ramp, ARefusedStartBeyondEndsItAsData) {
  Ramp ramp({.target = 400, .steps = 1, .aim = 800, .lot = 50});
  ramp.saw(well(400));
  ramp.saw(well(450));
  ramp.saw(refused(470));
  EXPECT_EQ(ramp.next(), (Step{StepKind::kLast, 450}));
  EXPECT_THAT(ramp.ended(), HasSubstr("no room"));
  ramp.saw(well(450));
  EXPECT_EQ(ramp.next(), std::nullopt);
  EXPECT_EQ(ramp.holds(), 450U);
}

TEST(Ramp, ARefusedStartBeforeTheTargetEndsItWithThoseThatAreUp) {
  Ramp ramp({.target = 400, .steps = 4, .aim = 800, .lot = 50});
  ramp.saw(well(100));
  ramp.saw(refused(170));
  EXPECT_EQ(ramp.next(), std::nullopt);
  EXPECT_EQ(ramp.holds(), 170U);
  EXPECT_THAT(ramp.ended(), HasSubstr("no room"));
}

TEST(Ramp, WhatHeldAMinuteAndNotTenIsTakenDownByALot) {
  Ramp ramp({.target = 400, .steps = 1, .aim = 500, .lot = 50});
  ramp.saw(well(400));
  ramp.saw(well(450));
  ramp.saw(well(500));
  ramp.saw(slow(500));
  EXPECT_EQ(ramp.next(), (Step{StepKind::kLast, 450}));
  ramp.saw(slow(450));
  EXPECT_EQ(ramp.next(), (Step{StepKind::kBack, 400})) << "that many held for long already";
  ramp.saw(well(400));
  EXPECT_EQ(ramp.next(), std::nullopt);
  EXPECT_EQ(ramp.holds(), 400U);
  EXPECT_THAT(ramp.ended(), HasSubstr("450 held a minute, and then"));
}

TEST(Ramp, TimeThatIsOverAddsNoLotButHoldsTheLast) {
  Ramp ramp({.target = 400, .steps = 1, .aim = 800, .lot = 50});
  ramp.saw(well(400));
  ramp.saw(well(450));
  ramp.out_of_time();
  EXPECT_EQ(ramp.next(), (Step{StepKind::kLast, 450}));
  ramp.out_of_time();
  EXPECT_EQ(ramp.next(), (Step{StepKind::kLast, 450})) << "it was not tried yet";
  ramp.saw(slow(450));
  ramp.out_of_time();
  EXPECT_EQ(ramp.next(), (Step{StepKind::kBack, 400}));

  Ramp at_once({.target = 400, .steps = 1, .aim = 800, .lot = 50});
  at_once.saw(well(400));
  at_once.out_of_time();
  EXPECT_EQ(at_once.next(), std::nullopt);
  EXPECT_EQ(at_once.holds(), 400U);
}

TEST(Ramp, SaysWhyANumberDoesNotHold) {
  EXPECT_EQ(why_not(well(1)), std::nullopt);
  EXPECT_EQ(why_not({.count = 1}), std::nullopt) << "nobody types";
  StepSeen seen = well(1);
  seen.p99_ms = kLongestKeyMs;
  EXPECT_EQ(why_not(seen), std::nullopt);
  seen.lost = 1;
  EXPECT_EQ(why_not(seen), "1 of 61 keys were lost");
  seen.killed = 2;
  EXPECT_EQ(why_not(seen), "2 were killed for want of memory");
  StepSeen none;
  none.typed = true;
  EXPECT_EQ(why_not(none), "no key was painted");
}

}  // namespace
}  // namespace panal::bench
