#include "engine/policy/shaver.h"

#include <gtest/gtest.h>

#include "engine/policy/recent_speed.h"
#include "engine/policy/units.h"

namespace panal::policy {
namespace {

ShaveInput input_of(SessionClass session) {
  ShaveInput input;
  input.memory.total = 24 * 1024 * kMib;
  input.memory.available = 2 * 1024 * kMib;
  input.memory.swap_total = input.memory.swap_free = 32 * 1024 * kMib;
  input.desktops.resize(1);
  input.desktops[0].id = 1;
  input.desktops[0].session = session;
  input.desktops[0].anon_bytes = 95 * kMib;
  return input;
}

ShaveDecision second_round(Shaver& shaver, ShaveInput& input) {
  (void)shaver.decide(input);
  input.at_ns += 6 * kSecond;
  return shaver.decide(input)[0];
}

TEST(Shaver, TakesByClassAndNeverFromTheActive) {
  ShaverConfig config;
  config.eagerness = 1;
  std::uint64_t taken[3] = {};
  for (const SessionClass session :
       {SessionClass::kActive, SessionClass::kIdle, SessionClass::kDisconnected}) {
    Shaver shaver(config);
    ShaveInput input = input_of(session);
    taken[static_cast<int>(session)] = second_round(shaver, input).bytes;
  }
  EXPECT_EQ(taken[0], 0U);
  EXPECT_GT(taken[1], 0U);
  EXPECT_GT(taken[2], 5 * taken[1]);
}

TEST(Shaver, FreezesWhoIsAwayForLongAndSoonerWhoDoesNothing) {
  struct Case {
    const char* what;
    SessionClass session;
    MonotonicNs away, quiet;  ///< for so long; -1: not known to be quiet
    MonotonicNs long_after, quiet_after;
    bool freeze;
  };
  const auto kGone = SessionClass::kDisconnected;
  for (const Case& c :
       {Case{"away for long, at work", kGone, 61 * kMinute, -1, 60 * kMinute, 0, true},
        Case{"not for long enough", kGone, 59 * kMinute, 59 * kMinute, 60 * kMinute, 0, false},
        Case{"never", kGone, 600 * kMinute, 600 * kMinute, 0, 0, false},
        Case{"quiet", kGone, 6 * kMinute, 6 * kMinute, 60 * kMinute, 5 * kMinute, true},
        Case{"quiet, and never for its time alone", kGone, 6 * kMinute, 6 * kMinute, 0, 5 * kMinute,
             true},
        Case{"quiet for too short", kGone, 20 * kMinute, 4 * kMinute, 0, 5 * kMinute, false},
        Case{"quiet already before its user left", kGone, 4 * kMinute, 20 * kMinute, 0, 5 * kMinute,
             false},
        Case{"at work", kGone, 20 * kMinute, -1, 60 * kMinute, 5 * kMinute, false},
        Case{"somebody is there", SessionClass::kIdle, 90 * kMinute, 90 * kMinute, 60 * kMinute,
             5 * kMinute, false}}) {
    Shaver shaver(ShaverConfig{ShaveOrder::kPageOutFirst, 1, 0, c.long_after, c.quiet_after});
    ShaveInput input = input_of(c.session);
    input.at_ns = 1000 * kMinute;
    input.desktops[0].anon_bytes = 0;
    input.desktops[0].session_since_ns = input.at_ns - c.away;
    input.desktops[0].quiet_since_ns = c.quiet < 0 ? 0 : input.at_ns - c.quiet;
    const ShaveDecision decision = shaver.decide(input)[0];
    EXPECT_EQ(decision.freeze, c.freeze) << c.what;
    if (!c.freeze) continue;
    const bool for_long = c.long_after > 0 && c.away >= c.long_after;
    EXPECT_EQ(decision.reason, for_long ? ShaveReason::kLongAway : ShaveReason::kQuiet) << c.what;
  }
}

TEST(Shaver, LeavesAloneWhoFetchesBack) {
  Shaver shaver(ShaverConfig{ShaveOrder::kPageOutFirst, 1, 0, 0});
  ShaveInput input = input_of(SessionClass::kIdle);
  ASSERT_GT(second_round(shaver, input).bytes, 0U);
  input.at_ns += 6 * kSecond;
  input.desktops[0].refault_pages = 5000;
  EXPECT_EQ(shaver.decide(input)[0].reason, ShaveReason::kRefaults);
}

TEST(Shaver, HasNothingToTakeWithoutNeedSwapOrKsm) {
  Shaver calm(ShaverConfig{});
  ShaveInput input = input_of(SessionClass::kIdle);
  input.memory.available = 20 * 1024 * kMib;
  EXPECT_EQ(second_round(calm, input).reason, ShaveReason::kNotNeeded);
  Shaver full(ShaverConfig{});
  input = input_of(SessionClass::kDisconnected);
  input.memory.swap_free = 0;
  EXPECT_EQ(second_round(full, input).reason, ShaveReason::kNoSwapRoom);
}

/// Three quarters of the memory are available: no need.
ShaveInput unsettled() {
  ShaveInput input = input_of(SessionClass::kIdle);
  input.memory.available = 18 * 1024 * kMib;
  return input;
}
constexpr ShaverConfig kMergesFirst{ShaveOrder::kKsmFirst, 1, 0, 0};

TEST(Shaver, WaitsForKsmWhereThereIsTime) {
  Shaver shaver(kMergesFirst);
  ShaveInput input = unsettled();
  EXPECT_EQ(second_round(shaver, input).reason, ShaveReason::kWaitsForKsm);
  input.desktops[0].ksm_settled = true;
  input.at_ns += 6 * kSecond;
  EXPECT_EQ(shaver.decide(input)[0].reason, ShaveReason::kTaken);
}

TEST(Shaver, DoesNotWaitForKsmWhereMemoryIsShort) {
  Shaver shaver(kMergesFirst);
  ShaveInput input = unsettled();
  input.memory.available = 4 * 1024 * kMib;  // of 24, of which 7.2 would be plenty
  EXPECT_EQ(second_round(shaver, input).reason, ShaveReason::kWaitsForKsm) << "need is 0.44";
  input.memory.available = 3 * 1024 * kMib;
  input.at_ns += 6 * kSecond;
  EXPECT_EQ(shaver.decide(input)[0].reason, ShaveReason::kTaken) << "need is 0.58";
}

TEST(Shaver, DoesNotWaitForKsmForLongerThanFiveMinutes) {
  Shaver shaver(kMergesFirst);
  ShaveInput input = unsettled();
  input.at_ns = input.desktops[0].session_since_ns = kMinute;
  MonotonicNs waited = 0;
  for (; waited < 10 * kMinute; waited += 6 * kSecond, input.at_ns += 6 * kSecond) {
    const ShaveDecision decision = shaver.decide(input)[0];
    if (waited > 0 && decision.reason != ShaveReason::kWaitsForKsm) {
      EXPECT_EQ(decision.reason, ShaveReason::kTaken);
      break;
    }
  }
  EXPECT_EQ(waited, 5 * kMinute);
}

TEST(Shaver, DoesNotWaitForAKsmdThatStandsOrIsSomebodyElses) {
  Shaver shaver(kMergesFirst);
  ShaveInput input = unsettled();
  EXPECT_EQ(second_round(shaver, input).reason, ShaveReason::kWaitsForKsm);
  input.ksm_moves = false;
  input.at_ns += 6 * kSecond;
  EXPECT_EQ(shaver.decide(input)[0].reason, ShaveReason::kTaken);
}

/// A round in which each desktop is walked over for so long when it is asked, and gives nothing.
void ask_in_vain(Shaver& shaver, RecentSpeed& speed, ShaveInput& input, double walk_seconds) {
  input.at_ns += 6 * kSecond;
  input.bytes_per_cpu_second = speed.bytes_per_cpu_second(input.at_ns);
  for (const ShaveDecision& one : shaver.decide(input))
    if (one.bytes > 0) speed.add(0, walk_seconds, input.at_ns);
}

TEST(Shaver, ADayOfWalksInVainIsForgotten) {
  Shaver shaver(ShaverConfig{ShaveOrder::kPageOutFirst, 1, 0, 0});
  RecentSpeed speed(Shaver::kFirstBytesPerCpuSecond);
  ShaveInput input = input_of(SessionClass::kDisconnected);
  input.memory.available = 20 * 1024 * kMib;  // thrift
  for (DesktopId id = 2; id <= 40; ++id) {
    input.desktops.push_back(input.desktops[0]);
    input.desktops.back().id = id;
  }
  for (int round = 0; round < 24 * 600; ++round) ask_in_vain(shaver, speed, input, 0.5);
  // One more, which has 50 MiB to give.
  ShaveDesktop fresh = input.desktops[0];
  fresh.id = 99;
  fresh.anon_bytes = 50 * kMib;
  fresh.session_since_ns = input.at_ns;
  input.desktops.push_back(fresh);
  int rounds = 0;
  for (; input.desktops.back().anon_bytes > 5 * kMib && rounds < 100; ++rounds) {
    input.at_ns += 6 * kSecond;
    input.bytes_per_cpu_second = speed.bytes_per_cpu_second(input.at_ns);
    for (const ShaveDecision& one : shaver.decide(input)) {
      const double bytes = one.desktop == fresh.id ? real(one.bytes) : 0;
      if (one.bytes > 0)
        speed.add(bytes, one.desktop == fresh.id ? bytes / (80.0 * kMib) : 0.5, input.at_ns);
      if (one.desktop == fresh.id) input.desktops.back().anon_bytes -= one.bytes;
    }
  }
  EXPECT_LT(rounds, 100) << "ten minutes";
}

TEST(Shaver, WhatIsTooLittleForAStepGrowsUntilItIsNot) {
  Shaver shaver(ShaverConfig{ShaveOrder::kPageOutFirst, 0.3, 0, 0});
  ShaveInput input = input_of(SessionClass::kIdle);
  input.memory.available = 20 * 1024 * kMib;
  input.desktops[0].anon_bytes = 20 * kMib;  // 14 above the floor: 0.2 MiB in six seconds
  EXPECT_EQ(second_round(shaver, input).reason, ShaveReason::kAtFloor);
  int rounds = 1;
  std::uint64_t bytes = 0;
  for (; bytes == 0 && rounds < 20; ++rounds) {
    input.at_ns += 6 * kSecond;
    bytes = shaver.decide(input)[0].bytes;
  }
  EXPECT_GT(rounds, 3);
  EXPECT_GE(bytes, kMib);
  input.at_ns += 6 * kSecond;
  input.desktops[0].anon_bytes -= bytes;
  EXPECT_EQ(shaver.decide(input)[0].reason, ShaveReason::kAtFloor) << "it grows from nothing again";
}

TEST(Shaver, WhoHadNothingToGiveIsAskedOnceAfterEachPause) {
  Shaver shaver(ShaverConfig{ShaveOrder::kPageOutFirst, 1, 0, 0});
  ShaveInput input = input_of(SessionClass::kDisconnected);
  int steps = 0;
  for (int round = 0; round < 600; ++round) {  // an hour
    input.at_ns += 6 * kSecond;
    if (shaver.decide(input)[0].bytes > 0) ++steps;  // and nothing comes of it
  }
  // Thrice at first and after a minute, once after 4 and after 16.
  EXPECT_GE(steps, 6);
  EXPECT_LE(steps, 20);
}

TEST(Shaver, ThriftMayUseCpuThatNobodyWants) {
  // A hundred that are away, plenty of memory: as much is taken as the budget buys.
  const auto taken = [](double idle_cores, std::uint64_t available) {
    ShaverConfig config;
    config.eagerness = 1;
    Shaver shaver(config);
    ShaveInput input = input_of(SessionClass::kDisconnected);
    input.memory.available = available;
    input.idle_cores = idle_cores;
    input.bytes_per_cpu_second = 100.0 * real(kMib);
    input.desktops.resize(100, input.desktops[0]);
    for (std::size_t i = 0; i < input.desktops.size(); ++i)
      input.desktops[i].id = static_cast<DesktopId>(i) + 1;
    (void)shaver.decide(input);
    input.at_ns += 6 * kSecond;
    std::uint64_t bytes = 0;
    for (const ShaveDecision& one : shaver.decide(input)) bytes += one.bytes;
    return static_cast<double>(bytes) / real(kMib);
  };
  const std::uint64_t plenty = 20 * 1024 * kMib;
  EXPECT_NEAR(taken(0, plenty), 60, 1) << "a tenth of a core for 6 s";
  EXPECT_NEAR(taken(0.6, plenty), 180, 1) << "half of what is idle";
  EXPECT_NEAR(taken(2, plenty), 300, 1) << "half a core at most";
  EXPECT_NEAR(taken(0, 0), 300, 1) << "whatever it takes";
}

TEST(Shaver, AGroupAtItsLimitIsNeedThoughTheHostHasPlenty) {
  Shaver shaver(ShaverConfig{.reserve_bytes = 2'048 * kMib});
  ShaveInput input = input_of(SessionClass::kDisconnected);
  input.memory.available = 20 * 1024 * kMib;
  input.groups = {{1024 * kMib, 400 * kMib, 64 * kMib}};
  EXPECT_EQ(shaver.need(input), 0);
  input.groups.push_back({1024 * kMib, 64 * kMib, 64 * kMib});
  EXPECT_EQ(shaver.need(input), 1);
  EXPECT_EQ(second_round(shaver, input).reason, ShaveReason::kTaken);
}

}  // namespace
}  // namespace panal::policy
