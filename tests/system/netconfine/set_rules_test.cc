// Rules that fail on their way in leave what was in force, or nothing.
#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "tests/system/netconfine/faulty.h"
#include "tests/system/netconfine/powerless.h"
#include "tests/system/netconfine/world.h"

namespace panal::netconfine {
namespace {

using namespace testing;
using Outcome = AuditReport::Outcome;

const Service kDns = service("dns", {"10.1.0.53", "fd00:1::53"}, {{Protocol::kUdp, {53, 53}}});

PolicySet office() { return policies({kDns}, {policy("office", {"dns"}, {}, "room")}); }

const std::map<DesktopId, std::string> kBoth = {{1, "office"}, {2, "office"}};

class SetRules : public ::testing::TestWithParam<BackendUnderTest> {
 protected:
  OpenBackend faulty() {
    return [this]() -> Result<std::unique_ptr<FirewallBackend>> {
      PANAL_ASSIGN(auto real, GetParam().open());
      return std::make_unique<Faulty>(std::move(real), faults_);
    };
  }
  static bool asks(World& world) {
    return world.passes(1, 0, udp4(ip4("10.77.0.1"), ip4("10.1.0.53"), 53), false);
  }
  static bool talks(World& world) {
    return world.passes(1, 2, udp6(ip6("fd77:70::1"), ip6("fd77:70::2")), true);
  }
  Faulty::Faults faults_;
};

INSTANTIATE_TEST_SUITE_P(All, SetRules, ::testing::ValuesIn(backends()),
                         [](const auto& test) { return test.param.name; });

TEST_P(SetRules, TheFirstThatFailDoNotStay) {
  World world(faulty(), 2);
  // A way out, and nobody who may take it.
  ASSERT_TRUE(world.apply({}, {}));
  faults_.late_loads = 1;
  ASSERT_FALSE(world.apply(office(), kBoth));
  EXPECT_FALSE(asks(world));
  EXPECT_FALSE(talks(world));
  EXPECT_EQ(world.network().audit().outcome, Outcome::kAsMeant);
  const auto applied = world.apply(office(), kBoth);
  ASSERT_TRUE(applied) << applied.error().message();
  EXPECT_TRUE(asks(world));
  EXPECT_TRUE(talks(world));
}

TEST_P(SetRules, WhatCanNeitherStayNorGoIsCutOffUntilItCan) {
  World world(faulty(), 2);
  auto narrow = office();
  narrow.policies["office"].reach.clear();
  ASSERT_TRUE(world.apply(narrow, kBoth));
  ASSERT_TRUE(talks(world));
  faults_.late_loads = 2;
  ASSERT_FALSE(world.apply(office(), kBoth));
  EXPECT_FALSE(asks(world));
  EXPECT_FALSE(talks(world)) << "cut off";
  EXPECT_EQ(world.network().audit().outcome, Outcome::kRepaired);
  EXPECT_FALSE(asks(world));
  EXPECT_TRUE(talks(world)) << "as it was";
}

TEST_P(SetRules, WithoutItsSettingsNoneAreInForce) {
  World world(faulty(), 2);
  ASSERT_TRUE(world.apply({}, {}));
  // The rules are loaded, and then the sysctls cannot be written.
  std::optional<Powerless> powerless;
  faults_.before_load = [&] { powerless.reset(); };
  faults_.after_load = [&, first = true]() mutable {
    if (std::exchange(first, false)) powerless.emplace();
  };
  ASSERT_FALSE(world.apply(office(), kBoth));
  EXPECT_FALSE(powerless) << "nothing was put back";
  powerless.reset();
  faults_.before_load = faults_.after_load = nullptr;
  EXPECT_FALSE(asks(world));
  EXPECT_FALSE(talks(world));
  EXPECT_EQ(world.network().audit().outcome, Outcome::kAsMeant);
}

TEST_P(SetRules, OnTheWayNobodyMeetsWhomNeitherTheOldNorTheNewRulesLet) {
  World world(faulty(), 2);
  const auto old = policies(
      {kDns}, {policy("p", {}, {}, "g"), policy("office", {}, {}, "h"), policy("guest", {"dns"})});
  ASSERT_TRUE(world.apply(old, {{1, "p"}, {2, "office"}}));
  ASSERT_FALSE(talks(world));
  int loads = 0;
  faults_.after_load = [&] {
    ++loads;
    EXPECT_FALSE(talks(world)) << "load " << loads;
  };
  const auto next = policies({kDns}, {policy("office", {}, {}, "g"), policy("guest", {"dns"})});
  const auto applied = world.apply(next, {{1, "guest"}, {2, "office"}});
  faults_.after_load = nullptr;
  ASSERT_TRUE(applied) << applied.error().message();
  EXPECT_EQ(loads, 3) << "the test says too little";
  EXPECT_TRUE(asks(world));
  EXPECT_FALSE(talks(world));
}

}  // namespace
}  // namespace panal::netconfine
