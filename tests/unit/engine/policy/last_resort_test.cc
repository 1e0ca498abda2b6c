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

TEST(LastResort, KillsADesktopThatTheKernelHoldsBackAgainAndAgain) {
  LastResorts resorts;
  LastResortInput input;
  input.at_ns = kSecond;
  input.desktops = {desktop(1, SessionClass::kActive, 90, 200),
                    desktop(3, SessionClass::kActive, 150, 200)};
  input.desktops[1].kernel_kills = 4;
  EXPECT_EQ(resorts.decide(input).step, LastResort::kNone);
  input.desktops[1].kernel_kills = 5;
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

TEST(LastResort, WaitingIsADangerOnlyNearTheEnd) {
  DangerInput input;
  input.reserve_bytes = 100 * kMib;
  input.available_bytes = 150 * kMib;
  EXPECT_EQ(danger_of(input), Danger::kNone);
  input.memory_full_share = 0.5;
  input.scanned_pages = input.reclaimed_pages = 10000;
  input.refault_pages = 8000;
  EXPECT_EQ(danger_of(input), Danger::kCritical);
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
