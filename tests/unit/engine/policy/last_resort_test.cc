#include "engine/policy/last_resort.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

ResortDesktop desktop(DesktopId id, SessionClass session, std::uint64_t mib, std::uint64_t share) {
  ResortDesktop one;
  one.id = id;
  one.session = session;
  one.bytes = mib * kMib;
  one.share_bytes = share * kMib;
  one.reclaimable_bytes = mib * kMib / 2;
  one.processes = {{10, 3, 1 * kMib}, {11, 2, 9 * kMib}, {12, 0, 5 * kMib}, {13, 0, 50 * kMib}};
  return one;
}

TEST(LastResort, TakesEachStepInOrderAndBlamesTheHog) {
  LastResorts resorts;
  LastResortInput input;
  input.danger = Danger::kCritical;
  input.desktops = {desktop(1, SessionClass::kActive, 90, 200),
                    desktop(2, SessionClass::kDisconnected, 80, 200),
                    desktop(3, SessionClass::kActive, 4000, 200)};
  std::vector<LastResort> steps;
  for (int i = 0; i < 5; ++i) {
    const LastResortDecision decision = resorts.decide(input);
    EXPECT_TRUE(decision.admission_closed);
    steps.push_back(decision.step);
    if (decision.step == LastResort::kKillProcess) {
      EXPECT_EQ(decision.desktops, std::vector<DesktopId>{3});
      EXPECT_EQ(decision.pid, 13);
    }
    input.at_ns += 2 * kSecond;
  }
  EXPECT_EQ(steps, (std::vector{LastResort::kReclaim, LastResort::kFreeze, LastResort::kRefuse,
                                LastResort::kKillProcess, LastResort::kKillProcess}));
}

TEST(LastResort, KillsNobodyWhileMemoryIsOnlyTight) {
  LastResorts resorts;
  LastResortInput input;
  input.danger = Danger::kTight;
  input.desktops = {desktop(3, SessionClass::kActive, 4000, 200)};
  for (int i = 0; i < 100; ++i, input.at_ns += 3 * kSecond)
    EXPECT_LT(resorts.decide(input).step, LastResort::kKillProcess);
}

TEST(LastResort, TheActiveAreNotKilledForBeingMany) {
  EXPECT_EQ(worst_desktop({desktop(1, SessionClass::kActive, 90, 200)}), nullptr);
  const std::vector<ResortDesktop> many{desktop(1, SessionClass::kActive, 190, 200),
                                        desktop(2, SessionClass::kIdle, 100, 200),
                                        desktop(4, SessionClass::kDisconnected, 20, 200)};
  EXPECT_EQ(worst_desktop(many)->id, 4);
}

TEST(LastResort, BlamesTheGrowingOneBeforeTheBiggest) {
  std::vector<ResortDesktop> some{desktop(1, SessionClass::kActive, 900, 500),
                                  desktop(2, SessionClass::kActive, 300, 500)};
  EXPECT_EQ(worst_desktop(some)->id, 1);
  some[1].growth_bytes_per_second = 200.0 * static_cast<double>(kMib);
  EXPECT_EQ(worst_desktop(some)->id, 2);
  some[1].growth_bytes_per_second = -200.0 * static_cast<double>(kMib);
  EXPECT_EQ(worst_desktop(some)->id, 1) << "one that shrinks is no better than it is";
}

TEST(LastResort, KillsWhatGrowsBeforeWhatIsLarge) {
  ResortDesktop one = desktop(1, SessionClass::kActive, 900, 500);
  EXPECT_EQ(least_important(one)->pid, 13);
  one.processes[2].growth_bytes_per_second = 20.0 * static_cast<double>(kMib);
  EXPECT_EQ(least_important(one)->pid, 12);
}

TEST(LastResort, KillsADesktopWhoseProgramsComeBack) {
  LastResorts resorts;
  LastResortInput input;
  input.danger = Danger::kCritical;
  input.desktops = {desktop(3, SessionClass::kActive, 4000, 200)};
  std::vector<LastResort> steps;
  for (int i = 0; i < 6; ++i, input.at_ns += 2 * kSecond)
    steps.push_back(resorts.decide(input).step);
  EXPECT_EQ(steps, (std::vector{LastResort::kRefuse, LastResort::kKillProcess,
                                LastResort::kKillProcess, LastResort::kKillProcess,
                                LastResort::kKillDesktop, LastResort::kKillDesktop}));
  EXPECT_TRUE(resorts.may_kill());
}

TEST(LastResort, KillsADesktopThatIsHeldBackAgainAndAgain) {
  LastResorts resorts;
  LastResortInput input;
  input.at_ns = kSecond;
  input.desktops = {desktop(1, SessionClass::kActive, 90, 200),
                    desktop(3, SessionClass::kActive, 150, 200)};
  input.desktops[1].lost_processes = 4;
  EXPECT_EQ(resorts.decide(input).step, LastResort::kNone);
  input.desktops[1].lost_processes = 5;
  const LastResortDecision decision = resorts.decide(input);
  EXPECT_EQ(decision.step, LastResort::kKillDesktop);
  EXPECT_EQ(decision.desktops, std::vector<DesktopId>{3});
  input.at_ns += kSecond / 2;
  EXPECT_EQ(resorts.decide(input).step, LastResort::kNone) << "it is still on its way out";
}

TEST(LastResort, WaitsForTheEffectOfAKill) {
  LastResorts resorts;
  LastResortInput input;
  input.danger = Danger::kCritical;
  input.desktops = {desktop(3, SessionClass::kActive, 4000, 200)};
  int kills = 0;
  for (; input.at_ns < 2 * kSecond; input.at_ns += 50 * kMillisecond)
    if (resorts.decide(input).step >= LastResort::kKillProcess) ++kills;
  EXPECT_EQ(kills, 2);
}

TEST(LastResort, TheDangerThereIsNowSaysHowLongAStepIsHeld) {
  struct Look {
    MonotonicNs at_ms;
    Danger danger;
    LastResort step;
  };
  struct Case {
    const char* what;
    std::vector<Look> looks;
  };
  const auto none = LastResort::kNone;
  const Case cases[] = {
      {"a hog comes while a mild step is held",
       {{0, Danger::kTight, LastResort::kReclaim},
        {100, Danger::kCritical, none},
        {200, Danger::kCritical, LastResort::kFreeze},
        {300, Danger::kCritical, none},
        {400, Danger::kCritical, LastResort::kRefuse},
        {500, Danger::kCritical, LastResort::kKillProcess}}},
      {"it comes when all mild steps are done",
       {{0, Danger::kTight, LastResort::kReclaim},
        {5'000, Danger::kTight, LastResort::kFreeze},
        {10'000, Danger::kTight, LastResort::kRefuse},
        {10'100, Danger::kCritical, LastResort::kKillProcess}}},
      {"what a short step left is tight: there is time again",
       {{0, Danger::kCritical, LastResort::kReclaim},
        {300, Danger::kTight, none},
        {4'900, Danger::kTight, none},
        {5'000, Danger::kTight, LastResort::kFreeze}}},
      {"it flickers",
       {{0, Danger::kTight, LastResort::kReclaim},
        {100, Danger::kCritical, none},
        {200, Danger::kTight, none},
        {300, Danger::kCritical, LastResort::kFreeze},
        {600, Danger::kTight, none},
        {700, Danger::kCritical, LastResort::kRefuse}}},
      {"a look without danger is not the end of a kill",
       {{0, Danger::kCritical, LastResort::kReclaim},
        {200, Danger::kCritical, LastResort::kFreeze},
        {400, Danger::kCritical, LastResort::kRefuse},
        {500, Danger::kCritical, LastResort::kKillProcess},
        {600, Danger::kNone, none},
        {700, Danger::kCritical, none},
        {1'500, Danger::kCritical, LastResort::kReclaim}}},
  };
  for (const Case& one : cases) {
    LastResorts resorts;
    LastResortInput input;
    input.desktops = {desktop(2, SessionClass::kDisconnected, 80, 200),
                      desktop(3, SessionClass::kActive, 4000, 200)};
    for (const Look& look : one.looks) {
      input.at_ns = look.at_ms * kMillisecond;
      input.danger = look.danger;
      EXPECT_EQ(resorts.decide(input).step, look.step) << one.what << ", at " << look.at_ms;
    }
  }
}

TEST(LastResort, WaitingKillsNobodyWhileItComesAndGoes) {
  // 400 desktops on a full node while 50 more started: above a tenth of the time for minutes, with
  // peaks of 44 %, and 3.7 GiB left.
  LastResorts resorts;
  LastResortInput input;
  input.desktops = {desktop(2, SessionClass::kDisconnected, 80, 200),
                    desktop(3, SessionClass::kActive, 4000, 200)};
  unsigned reclaims = 0;
  for (; input.at_ns < 120 * kSecond; input.at_ns += 100 * kMillisecond) {
    const bool waits = input.at_ns / kSecond % 4 != 3;
    input.danger = waits ? Danger::kStalled : Danger::kNone;
    input.memory_full_share = waits ? 0.44 : 0.05;
    const LastResortDecision decision = resorts.decide(input);
    EXPECT_LT(decision.step, LastResort::kKillProcess) << input.at_ns;
    EXPECT_EQ(decision.admission_closed, waits);
    if (decision.step == LastResort::kReclaim) ++reclaims;
  }
  EXPECT_GE(reclaims, 20U);
}

TEST(LastResort, AStallHurriesTheMildStepsAndThenWaits) {
  LastResorts resorts;
  LastResortInput input;
  input.danger = Danger::kStalled;
  input.memory_full_share = 0.2;
  input.desktops = {desktop(2, SessionClass::kDisconnected, 80, 200),
                    desktop(3, SessionClass::kActive, 4000, 200)};
  std::vector<std::pair<MonotonicNs, LastResort>> steps;
  for (; input.at_ns < 6 * kSecond; input.at_ns += 100 * kMillisecond)
    if (const auto step = resorts.decide(input).step; step != LastResort::kNone)
      steps.emplace_back(input.at_ns / kMillisecond, step);
  EXPECT_EQ(steps, (std::vector<std::pair<MonotonicNs, LastResort>>{{0, LastResort::kReclaim},
                                                                    {200, LastResort::kFreeze},
                                                                    {400, LastResort::kRefuse},
                                                                    {5'500, LastResort::kReclaim},
                                                                    {5'700, LastResort::kFreeze},
                                                                    {5'900, LastResort::kRefuse}}));
  input.danger = Danger::kCritical;
  EXPECT_EQ(resorts.decide(input).step, LastResort::kKillProcess) << "no wait holds that up";
}

TEST(LastResort, AStallThatLastsEndsWithAKill) {
  LastResorts resorts;
  LastResortInput input;
  input.danger = Danger::kStalled;
  input.memory_full_share = 0.8;
  input.desktops = {desktop(3, SessionClass::kActive, 4000, 200)};
  MonotonicNs killed_at_ns = -1;
  for (; killed_at_ns < 0 && input.at_ns < 60 * kSecond; input.at_ns += 100 * kMillisecond)
    if (resorts.decide(input).step >= LastResort::kKillProcess) killed_at_ns = input.at_ns;
  EXPECT_GE(killed_at_ns, LastResorts::kStallKills);
  EXPECT_LE(killed_at_ns, LastResorts::kStallKills + kSecond);
}

TEST(LastResort, WaitingIsADangerOnlyNearTheEnd) {
  DangerInput input;
  input.reserve_bytes = 100 * kMib;
  input.available_bytes = 150 * kMib;
  EXPECT_EQ(danger_of(input), Danger::kNone);
  input.memory_full_share = 0.5;
  input.scanned_pages = input.reclaimed_pages = 10000;
  input.refault_pages = 8000;
  EXPECT_EQ(danger_of(input), Danger::kStalled);
  input.available_bytes = 1000 * kMib;
  EXPECT_EQ(danger_of(input), Danger::kNone) << "a desktop that fights with its own limit";
  input.memory_full_share = 0;
  input.available_bytes = 99 * kMib;
  EXPECT_EQ(danger_of(input), Danger::kTight);
  input.available_bytes = 49 * kMib;
  EXPECT_EQ(danger_of(input), Danger::kCritical);
}

}  // namespace
}  // namespace panal::policy
