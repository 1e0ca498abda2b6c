#include "bench/density/hold.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bench/density/mix.h"

namespace panal::bench {
namespace {

using nlohmann::json;

TEST(Hold, CountsTheLastFiveOfTenMinutes) {
  EXPECT_EQ(HoldWindow{}, hold_window(600, 0));
  EXPECT_EQ(hold_window(600, 300), (HoldWindow{600, 300}));
}

TEST(Hold, ShorterOnesCountTheirHalfOrWhatIsAskedFor) {
  EXPECT_EQ(hold_window(3, 0), (HoldWindow{3, 2}));
  EXPECT_EQ(hold_window(1, 0), (HoldWindow{1, 1}));
  EXPECT_EQ(hold_window(0, 0), (HoldWindow{1, 1}));
  EXPECT_EQ(hold_window(120, 30), (HoldWindow{120, 30}));
  EXPECT_EQ(hold_window(60, 300), (HoldWindow{60, 60}));
}

json step(const char* kind, int count, double available_mib) {
  return {{"kind", kind},
          {"count", count},
          {"mem_available_mib", available_mib},
          {"load_mib", 2.0 * count},
          {"lab_mib", 30.0 * count},
          {"desktops_charge_mib", 25.0 * count},
          {"desktops_anon_mib", 20.0 * count},
          {"desktops_memory", {{"pss_mib", 24.0 * count}}},
          {"pss_mib", {{"panald", 10 + 0.01 * count}}}};
}

TEST(Hold, SlopesAreOfTheStepsToTheTarget) {
  const json steps = {step("target", 100, 9000), step("target", 200, 6000),
                      step("target", 300, 3000), step("beyond", 350, 2900),
                      step("last", 350, 2950)};
  const json slope = slopes(steps);
  EXPECT_DOUBLE_EQ(slope["available_mib"].get<double>(), 30);
  EXPECT_DOUBLE_EQ(slope["marginal_mib"].get<double>(), 28) << "less the load generator's";
  EXPECT_DOUBLE_EQ(slope["desktops_pss_mib"].get<double>(), 24);
  EXPECT_NEAR(slope["helpers_pss_mib"]["panald"].get<double>(), 0.01, 1e-9);
}

TEST(Hold, TellsWhatPanaldTookBeforeAndWhatCounts) {
  Held held;
  held.taking_seconds = 10;
  held.seconds = 20;
  held.begin.cpu = {{"panald", 1e9}, {"monitor", 5e9}};
  held.counted.cpu = {{"panald", 3e9}, {"monitor", 5e9}};
  held.end.cpu = {{"panald", 3.5e9}, {"monitor", 4e9}};
  held.end.pss = {{"panald", 20.0 * 1024 * 1024}};
  held.end.processes = {{"panald", 1}};
  held.available_drift = -1024.0 * 1024 / 60;
  const json out = describe(held, 400);
  EXPECT_DOUBLE_EQ(out["panald_taking_cpu_percent"].get<double>(), 20);
  EXPECT_DOUBLE_EQ(out["panald_cpu_percent"].get<double>(), 2.5) << "one that ended adds none";
  EXPECT_DOUBLE_EQ(out["panald_pss_mib"].get<double>(), 20);
  EXPECT_DOUBLE_EQ(out["mem_available_drift_mib_per_minute"].get<double>(), -1);
}

TEST(Mix, SharesAreSpreadEvenlyOverTheLots) {
  const Shares shares{.active_percent = 10, .disconnected_percent = 60};
  for (std::size_t lot = 0; lot < 10; ++lot) {
    int active = 0, away = 0;
    for (std::size_t i = lot * 80; i < lot * 80 + 80; ++i) {
      active += role_of(i, shares) == Role::kActive ? 1 : 0;
      away += role_of(i, shares) == Role::kAway ? 1 : 0;
    }
    EXPECT_EQ(active, 8) << lot;
    EXPECT_EQ(away, 48) << lot;
  }
  EXPECT_EQ(role_of(0, shares), Role::kActive) << "the typist's screen comes with the first";
}

TEST(Mix, KeepsOddSharesToo) {
  int active = 0, away = 0;
  const Shares shares{.active_percent = 30, .disconnected_percent = 60};
  for (std::size_t i = 0; i < 1000; ++i) {
    active += role_of(i, shares) == Role::kActive ? 1 : 0;
    away += role_of(i, shares) == Role::kAway ? 1 : 0;
  }
  EXPECT_EQ(active, 300);
  EXPECT_EQ(away, 600);
  EXPECT_EQ(role_of(7, {}), Role::kIdle);
  EXPECT_EQ(role_of(7, {.active_percent = 100}), Role::kActive);
  EXPECT_EQ(role_of(7, {.disconnected_percent = 100}), Role::kAway);
}

}  // namespace
}  // namespace panal::bench
