#include "runtime/node/decide.h"

#include <gtest/gtest.h>

#include "runtime/node/welcome.h"

namespace panal::node {

void PrintTo(Action action, std::ostream* out) { *out << to_string(action); }

namespace {

using store::Desired;
using store::Observed;

TEST(Decide, FollowsTheTable) {
  constexpr Desired kWanted = Desired::kRunning;
  constexpr Desired kUnwanted = Desired::kStopped;
  const struct {
    Desired desired;
    Observed observed;
    bool running;
    Action action;
  } table[] = {
      {kWanted, Observed::kStopped, false, Action::kStart},
      {kWanted, Observed::kFailed, false, Action::kNone},
      {kWanted, Observed::kComposing, false, Action::kMarkStopped},
      {kWanted, Observed::kStarting, false, Action::kMarkStopped},
      {kWanted, Observed::kRunning, false, Action::kMarkStopped},
      {kWanted, Observed::kStopping, false, Action::kMarkStopped},
      {kWanted, Observed::kRunning, true, Action::kNone},
      {kWanted, Observed::kStopped, true, Action::kObserveRunning},
      {kWanted, Observed::kFailed, true, Action::kObserveRunning},
      {kWanted, Observed::kComposing, true, Action::kObserveRunning},
      {kWanted, Observed::kStopping, true, Action::kObserveRunning},
      {kUnwanted, Observed::kStopped, false, Action::kNone},
      {kUnwanted, Observed::kFailed, false, Action::kNone},
      {kUnwanted, Observed::kComposing, false, Action::kMarkStopped},
      {kUnwanted, Observed::kRunning, false, Action::kMarkStopped},
      {kUnwanted, Observed::kStopping, false, Action::kMarkStopped},
      {kUnwanted, Observed::kStopped, true, Action::kStop},
      {kUnwanted, Observed::kRunning, true, Action::kStop},
      {kUnwanted, Observed::kFailed, true, Action::kStop},
  };
  for (const auto& row : table) {
    store::Desktop desktop;
    desktop.desired = row.desired;
    desktop.observed = row.observed;
    desktop.generation = 3;
    desktop.claimed_generation = 3;
    EXPECT_EQ(decide(desktop, row.running), row.action)
        << to_string(row.desired) << " " << to_string(row.observed) << " " << row.running;
  }
}

TEST(Decide, RetriesAFailedDesktopOnlyForANewRequest) {
  store::Desktop desktop;
  desktop.desired = Desired::kRunning;
  desktop.observed = Observed::kFailed;
  desktop.generation = 4;
  desktop.claimed_generation = 3;
  EXPECT_EQ(decide(desktop, false), Action::kStart);
  desktop.claimed_generation = 4;
  EXPECT_EQ(decide(desktop, false), Action::kNone);
}

TEST(CrashLimit, GivesUpAfterManyEndsInAWindow) {
  CrashLimit limit;
  const CrashLimit::Clock::time_point now{};
  EXPECT_TRUE(limit.may_restart(now));
  EXPECT_TRUE(limit.may_restart(now + std::chrono::minutes(1)));
  EXPECT_FALSE(limit.may_restart(now + std::chrono::minutes(2)));
  // The first ones are forgotten by then.
  EXPECT_TRUE(limit.may_restart(now + std::chrono::minutes(7)));
  limit.forget();
  EXPECT_EQ(limit.ends(), 0U);
}

TEST(Hostname, IsALabel) {
  EXPECT_EQ(hostname_of("alice-desk", "d1"), "alice-desk");
  EXPECT_EQ(hostname_of("Alice's Desk!", "d1"), "alice-s-desk");
  EXPECT_EQ(hostname_of("..//", "d1"), "d1");
  EXPECT_EQ(hostname_of("\xc3\xa9t\xc3\xa9", "d1"), "t");
  EXPECT_EQ(hostname_of(std::string(200, 'x'), "d1").size(), 63U);
}

}  // namespace
}  // namespace panal::node
