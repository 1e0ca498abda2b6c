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

}  // namespace
}  // namespace panal::policy
