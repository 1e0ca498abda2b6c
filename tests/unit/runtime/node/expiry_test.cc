#include "runtime/node/expiry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::node {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using store::Desired;
using store::Observed;
using ::testing::HasSubstr;
using Step = Expiry::Step;

class ExpiryTest : public ::testing::Test {
 protected:
  /// Desktop `id` on version 1 of icewm while its tag is at 2.
  store::Desktop row(DesktopId id, std::optional<milliseconds> soft,
                     std::optional<milliseconds> hard = std::nullopt) const {
    store::Desktop row;
    row.id = id;
    row.image = "icewm";
    row.desired = Desired::kRunning;
    row.observed = Observed::kRunning;
    row.running_version = "1";
    row.next_version = "2";
    if (soft) row.soft_left_ms = soft->count();
    if (hard) row.hard_left_ms = hard->count();
    return row;
  }
  /// A row that was read just now.
  Expiry::Verdict look(const store::Desktop& row, bool in_use) {
    return expiry_.look(row, now_, in_use);
  }
  /// Away for long, and soft is over: it restarts, if anybody may.
  Step restart(DesktopId id) {
    (void)look(row(id, seconds(0)), false);
    now_ += Expiry::kAway;
    return look(row(id, seconds(0)), false).step;
  }
  bool comes_back(DesktopId id) {
    store::Desktop back = row(id, std::nullopt);
    back.running_version = "2";
    return expiry_.settle(back, true);
  }
  bool fails(DesktopId id) {
    store::Desktop failed = row(id, std::nullopt);
    failed.observed = Observed::kFailed;
    return expiry_.settle(failed, false);
  }

  Expiry::Clock::time_point now_{hours(1000)};
  Expiry expiry_{[this] { return now_; }};
};

TEST_F(ExpiryTest, LeavesAloneWhoHasNoDeadline) {
  EXPECT_EQ(look(row(1, std::nullopt), true).step, Step::kNone);
  EXPECT_EQ(look(row(1, std::nullopt), false).step, Step::kNone);
  EXPECT_EQ(expiry_.restarts(), 0U);
}

TEST_F(ExpiryTest, TellsWhoIsConnectedOnceAndAgainWhenLittleIsLeft) {
  const auto first = look(row(1, hours(1), hours(24)), true);
  EXPECT_EQ(first.step, Step::kTell);
  EXPECT_EQ(first.words,
            "There is a new version of this desktop. From 60 min on it starts again when you "
            "disconnect, and in 24 h in any case: save your work.");
  now_ += hours(2);
  EXPECT_EQ(look(row(1, -hours(1), hours(22)), true).step, Step::kNone) << "told already";
  const auto last = look(row(1, -hours(22), Expiry::kLastCall), true);
  EXPECT_EQ(last.step, Step::kTell);
  EXPECT_THAT(last.words, HasSubstr("starts again when you disconnect, and in 15 min in any case"));
  EXPECT_EQ(look(row(1, -hours(22), minutes(3)), true).step, Step::kNone);
}

TEST_F(ExpiryTest, TellsAgainWhoComesBack) {
  EXPECT_EQ(look(row(1, hours(1)), true).step, Step::kTell);
  EXPECT_EQ(look(row(1, hours(1)), false).step, Step::kNone);
  const auto again = look(row(1, -seconds(1)), true);
  EXPECT_EQ(again.step, Step::kTell);
  EXPECT_THAT(again.words, HasSubstr("starts again when you disconnect: save your work"));
}

TEST_F(ExpiryTest, SaysOfAHardDeadlineAloneWhenItIs) {
  EXPECT_EQ(look(row(1, std::nullopt, hours(100)), true).words,
            "There is a new version of this desktop. It starts again in 4 days: save your work.");
  EXPECT_THAT(look(row(2, std::nullopt, seconds(59)), true).words,
              HasSubstr("in less than a minute"));
}

TEST_F(ExpiryTest, PastSoftWaitsUntilNobodyIsConnectedForAWhile) {
  EXPECT_EQ(look(row(1, seconds(0)), true).step, Step::kTell);
  EXPECT_EQ(look(row(1, -hours(1)), true).step, Step::kNone) << "somebody works";
  EXPECT_EQ(look(row(1, -hours(1)), false).step, Step::kNone) << "a lost link comes back";
  now_ += Expiry::kAway - milliseconds(1);
  EXPECT_EQ(look(row(1, -hours(1)), false).step, Step::kNone);
  EXPECT_EQ(look(row(1, -hours(1)), true).step, Step::kTell) << "it came back";
  now_ += hours(1);
  EXPECT_EQ(look(row(1, -hours(1)), false).step, Step::kNone);
  now_ += Expiry::kAway;
  const auto verdict = look(row(1, -hours(1)), false);
  EXPECT_EQ(verdict.step, Step::kRestart);
  EXPECT_EQ(verdict.words, "its version 1 was replaced by 2, with which it starts again");
}

TEST_F(ExpiryTest, BeforeSoftNobodyIsDisturbedHoweverLongAway) {
  EXPECT_EQ(look(row(1, hours(1)), false).step, Step::kNone);
  now_ += hours(30);
  EXPECT_EQ(look(row(1, milliseconds(1)), false).step, Step::kNone);
  EXPECT_EQ(look(row(1, milliseconds(0)), false).step, Step::kRestart) << "away all the time";
}

TEST_F(ExpiryTest, PastHardNobodyIsAsked) {
  const auto verdict = look(row(1, std::nullopt, seconds(0)), true);
  EXPECT_EQ(verdict.step, Step::kRestart);
  EXPECT_THAT(verdict.words, HasSubstr("the time for that is over"));
}

TEST_F(ExpiryTest, CountsFromWhenTheRowWasRead) {
  const auto read = now_;
  const auto old = row(1, std::nullopt, seconds(30));
  EXPECT_EQ(expiry_.look(old, read, true).step, Step::kTell);
  now_ += seconds(29);
  EXPECT_EQ(expiry_.look(old, read, true).step, Step::kNone);
  now_ += seconds(1);
  EXPECT_EQ(expiry_.look(old, read, true).step, Step::kRestart);
}

TEST_F(ExpiryTest, AFewAtATimeAndTheNextWhenOneIsBack) {
  for (DesktopId id = 1; id <= static_cast<DesktopId>(Expiry::kAtOnce); ++id)
    EXPECT_EQ(look(row(id, std::nullopt, seconds(0)), true).step, Step::kRestart) << id;
  EXPECT_EQ(look(row(50, std::nullopt, seconds(0)), true).step, Step::kNone);
  store::Desktop stopped = row(1, std::nullopt);
  stopped.observed = Observed::kStopped;
  EXPECT_FALSE(expiry_.settle(stopped, false)) << "on its way";
  EXPECT_TRUE(comes_back(1));
  EXPECT_FALSE(comes_back(1)) << "said once";
  EXPECT_FALSE(comes_back(99)) << "never under way";
  EXPECT_EQ(look(row(50, std::nullopt, seconds(0)), true).step, Step::kRestart);
  EXPECT_EQ(look(row(51, std::nullopt, seconds(0)), true).step, Step::kNone);
  // Those that find no room do not keep the others on an old version for ever.
  now_ += Expiry::kPatience;
  EXPECT_EQ(look(row(51, std::nullopt, seconds(0)), true).step, Step::kRestart);
  EXPECT_EQ(expiry_.restarts(), Expiry::kAtOnce + 2);
}

TEST_F(ExpiryTest, OneThatIsNotWantedAnyMoreMakesWay) {
  EXPECT_EQ(restart(1), Step::kRestart);
  store::Desktop unwanted = row(1, std::nullopt);
  unwanted.desired = Desired::kStopped;
  unwanted.observed = Observed::kStopping;
  EXPECT_TRUE(expiry_.settle(unwanted, false));
  EXPECT_FALSE(expiry_.given_up(row(2, seconds(0)))) << "that was no failure";
}

TEST_F(ExpiryTest, AVersionThatDoesNotStartTakesNobodyElseAlong) {
  for (DesktopId id = 1; id <= Expiry::kMostFailures; ++id) {
    EXPECT_EQ(restart(id), Step::kRestart) << id;
    EXPECT_TRUE(fails(id));
  }
  EXPECT_EQ(restart(10), Step::kNone);
  EXPECT_EQ(look(row(10, std::nullopt, -hours(1)), true).step, Step::kNone) << "hard or not";
  EXPECT_TRUE(expiry_.given_up(row(10, seconds(0))));
  // Another version is another matter.
  auto rolled_back = row(10, seconds(0));
  rolled_back.next_version = "0";
  EXPECT_EQ(look(rolled_back, false).step, Step::kNone) << "somebody was there just now";
  now_ += Expiry::kAway;
  EXPECT_EQ(look(rolled_back, false).step, Step::kRestart);
}

TEST_F(ExpiryTest, FailuresCountInARowOnly) {
  for (DesktopId id = 1; id < Expiry::kMostFailures; ++id) {
    EXPECT_EQ(restart(id), Step::kRestart);
    EXPECT_TRUE(fails(id));
  }
  EXPECT_EQ(restart(20), Step::kRestart);
  EXPECT_TRUE(comes_back(20));
  EXPECT_EQ(restart(21), Step::kRestart);
  EXPECT_TRUE(fails(21));
  EXPECT_EQ(restart(22), Step::kRestart);
}

}  // namespace
}  // namespace panal::node
