#include "netconfine/qos/shape_plan.h"

#include <gmock/gmock.h>

namespace panal::netconfine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kMbit = 1'000'000;

ShapedDesktop desktop(DesktopId id, std::uint64_t send_mbit, const std::string& tenant = "",
                      std::uint64_t tenant_mbit = 0) {
  ShapedDesktop one;
  one.addresses = *AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id);
  one.tenant = tenant;
  one.limits.send_bits_per_second = send_mbit * kMbit;
  one.tenant_limits.send_bits_per_second = tenant_mbit * kMbit;
  return one;
}

std::vector<Minor> minors(const std::vector<ShapeClass>& classes) {
  std::vector<Minor> numbers;
  for (const auto& shape : classes) numbers.push_back(shape.minor);
  return numbers;
}

ShapePlan::Changes put(ShapePlan& plan, const ShapedDesktop& one) {
  auto changes = plan.put(one);
  EXPECT_TRUE(changes) << changes.error().message();
  return changes ? *changes : ShapePlan::Changes{};
}

TEST(Shape, ADesktopMaySendAtItsRateAndHasALittleForItself) {
  const auto shape = desktop_class(7, root_class(0), 20 * kMbit, 0, SessionClass::kActive);
  EXPECT_EQ(shape.ceil_bytes_per_second, 2'500'000U);
  EXPECT_EQ(shape.ceil_burst_bytes, 125'000U) << "50 ms of it";
  EXPECT_LE(shape.rate_bytes_per_second, shape.ceil_bytes_per_second);
  EXPECT_EQ(shape.parent, kRootMinor);
  EXPECT_GT(shape.queue_bytes, 0U);
}

TEST(Shape, TheBurstOfAPolicyHolds) {
  const auto shape = desktop_class(7, root_class(0), 20 * kMbit, 9000, SessionClass::kActive);
  EXPECT_EQ(shape.ceil_burst_bytes, 9000U);
  EXPECT_EQ(desktop_class(7, root_class(0), 20 * kMbit, 1, SessionClass::kActive).ceil_burst_bytes,
            3028U)
      << "never less than two frames";
}

TEST(Shape, NoRateIsPastWhatTheKernelOrTheParentTakes) {
  const auto parent = tenant_class(kFirstTenantMinor, 8 * kMbit, 0);
  EXPECT_EQ(desktop_class(7, parent, 100 * kMbit, 0, SessionClass::kActive).ceil_bytes_per_second,
            1'000'000U);
  const auto most =
      desktop_class(7, root_class(0), ~std::uint64_t{0}, ~std::uint64_t{0}, SessionClass::kActive);
  EXPECT_EQ(most.ceil_bytes_per_second, 125'000'000'000U);
  const auto least = desktop_class(7, root_class(0), 1, 0, SessionClass::kActive);
  EXPECT_EQ(least.ceil_bytes_per_second, 125U);
  EXPECT_LE(least.rate_bytes_per_second, 125U);
}

TEST(Shape, WhatDesktopsHaveForThemselvesDoesNotBreakTheTenantsRate) {
  for (const std::uint64_t mbit : {1U, 100U, 40'000U}) {
    const auto tenant = tenant_class(kFirstTenantMinor, mbit * kMbit, 0);
    const auto one = desktop_class(7, tenant, 0, 0, SessionClass::kIdle);
    EXPECT_LE(one.rate_bytes_per_second * 1000, tenant.rate_bytes_per_second) << mbit;
  }
}

TEST(Shape, ActiveSessionsComeFirst) {
  EXPECT_LT(priority_of(SessionClass::kActive), priority_of(SessionClass::kIdle));
  EXPECT_LT(priority_of(SessionClass::kIdle), priority_of(SessionClass::kDisconnected));
  EXPECT_EQ(priority_of(SessionClass::kDisconnected), priority_of(SessionClass::kFrozen));
}

TEST(Shape, TwoPoliciesOfATenantShareNothing) {
  CompiledPolicy office, guest;
  office.name = "office";
  guest.name = "guest";
  office.tenant = guest.tenant = "school";
  office.limits.send_bits_per_second = kMbit;
  const auto addresses = desktop(1, 0).addresses;
  const auto one = shaped(addresses, office, SessionClass::kIdle);
  EXPECT_EQ(one.limits.send_bits_per_second, kMbit);
  EXPECT_EQ(one.session, SessionClass::kIdle);
  EXPECT_NE(one.tenant, shaped(addresses, guest, SessionClass::kIdle).tenant);
}

TEST(ShapePlan, WhoIsBoundByNothingHasNoClass) {
  ShapePlan plan(Direction::kSend, {});
  const auto changes = put(plan, desktop(1, 0));
  EXPECT_THAT(changes.put, IsEmpty());
  EXPECT_THAT(changes.gone, IsEmpty());
  EXPECT_FALSE(plan.shapes(desktop(1, 0).addresses));
  EXPECT_EQ(plan.classes().size(), 2U) << "the root and the strays";
}

TEST(ShapePlan, OnlyItsDirectionCounts) {
  ShapePlan plan(Direction::kReceive, {});
  EXPECT_THAT(put(plan, desktop(1, 20)).put, IsEmpty());
  ShapedDesktop other = desktop(2, 0);
  other.limits.receive_bits_per_second = kMbit;
  EXPECT_EQ(minors(put(plan, other).put), std::vector<Minor>{2});
}

TEST(ShapePlan, ALineGivesEverybodyAClass) {
  ShapePlan plan(Direction::kSend, {100 * kMbit, 0});
  const auto changes = put(plan, desktop(1, 0));
  ASSERT_EQ(minors(changes.put), std::vector<Minor>{1});
  EXPECT_EQ(changes.put[0].ceil_bytes_per_second, 12'500'000U);
}

TEST(ShapePlan, TheSameAgainChangesNothing) {
  ShapePlan plan(Direction::kSend, {});
  put(plan, desktop(1, 20, "school", 100));
  const auto again = put(plan, desktop(1, 20, "school", 100));
  EXPECT_THAT(again.put, IsEmpty());
  EXPECT_THAT(again.gone, IsEmpty());
}

TEST(ShapePlan, ATenantComesBeforeItsDesktopsAndGoesAfterThem) {
  ShapePlan plan(Direction::kSend, {});
  const auto first = put(plan, desktop(1, 20, "school", 100));
  ASSERT_EQ(first.put.size(), 2U);
  const Minor tenant = first.put[0].minor;
  EXPECT_GE(tenant, kFirstTenantMinor);
  EXPECT_LE(tenant, kLastTenantMinor);
  EXPECT_EQ(first.put[1].parent, tenant);
  EXPECT_EQ(minors(put(plan, desktop(2, 30, "school", 100)).put), std::vector<Minor>{2});
  EXPECT_EQ(minors(plan.remove(desktop(1, 0).addresses).gone), std::vector<Minor>{1});
  EXPECT_THAT(minors(plan.remove(desktop(2, 0).addresses).gone), ElementsAre(2, tenant));
  EXPECT_EQ(plan.classes().size(), 2U);
}

TEST(ShapePlan, OfSeveralRatesOfATenantTheLowestHolds) {
  ShapePlan plan(Direction::kSend, {});
  const auto first = put(plan, desktop(1, 0, "school", 100));
  const Minor tenant = first.put[0].minor;
  const auto lower = put(plan, desktop(2, 0, "school", 40));
  EXPECT_THAT(minors(lower.put), ElementsAre(tenant, 1, 2)) << "all of its desktops feel it";
  EXPECT_EQ(plan.classes().at(tenant).rate_bytes_per_second, 5'000'000U);
  const auto higher = plan.remove(desktop(2, 0).addresses);
  EXPECT_THAT(minors(higher.put), ElementsAre(tenant, 1));
  EXPECT_EQ(plan.classes().at(tenant).rate_bytes_per_second, 12'500'000U);
}

TEST(ShapePlan, ATenantsRateThatComesOrGoesMovesItsDesktops) {
  ShapePlan plan(Direction::kSend, {});
  put(plan, desktop(1, 20, "school"));
  EXPECT_EQ(plan.classes().at(1).parent, kRootMinor);
  const auto comes = put(plan, desktop(1, 20, "school", 100));
  EXPECT_EQ(minors(comes.gone), std::vector<Minor>{1}) << "a class cannot get another parent";
  ASSERT_EQ(comes.put.size(), 2U);
  EXPECT_EQ(comes.put[1].parent, comes.put[0].minor);
  const auto goes = put(plan, desktop(1, 20, "school"));
  EXPECT_THAT(minors(goes.gone), ElementsAre(1, comes.put[0].minor));
  EXPECT_EQ(minors(goes.put), std::vector<Minor>{1});
  EXPECT_EQ(plan.classes().at(1).parent, kRootMinor);
}

TEST(ShapePlan, ADesktopMayMoveToAnotherTenant) {
  ShapePlan plan(Direction::kSend, {});
  const Minor school = put(plan, desktop(1, 0, "school", 100)).put[0].minor;
  const auto moved = put(plan, desktop(1, 0, "office", 50));
  EXPECT_THAT(minors(moved.gone), ElementsAre(1, school));
  ASSERT_EQ(moved.put.size(), 2U);
  EXPECT_NE(moved.put[0].minor, school);
  EXPECT_EQ(plan.classes().size(), 4U);
}

TEST(ShapePlan, ASessionsClassChangesOnlyItself) {
  ShapePlan plan(Direction::kSend, {});
  put(plan, desktop(1, 0, "school", 100));
  put(plan, desktop(2, 0, "school", 100));
  ShapedDesktop idle = desktop(2, 0, "school", 100);
  idle.session = SessionClass::kIdle;
  const auto changes = put(plan, idle);
  EXPECT_EQ(minors(changes.put), std::vector<Minor>{2});
  EXPECT_EQ(changes.put[0].priority, 1U);
  EXPECT_THAT(changes.gone, IsEmpty());
}

TEST(ShapePlan, NumbersPastTheEndAreRefusedOnlyIfSomethingBoundsThem) {
  ShapePlan plan(Direction::kSend, {});
  const auto refused = plan.put(desktop(61440, 20));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOSPC);
  EXPECT_NE(refused.error().message().find("pnl61440"), std::string::npos);
  EXPECT_TRUE(plan.put(desktop(61440, 0)));
  EXPECT_TRUE(plan.put(desktop(61439, 20)));
  EXPECT_THAT(plan.remove(desktop(61440, 0).addresses).gone, IsEmpty());
}

TEST(ShapePlan, TenantsRunOutWithASentence) {
  ShapePlan plan(Direction::kSend, {});
  for (DesktopId id = 1; id <= 4080; ++id) {
    ASSERT_TRUE(plan.put(desktop(id, 0, "tenant" + std::to_string(id), 10))) << id;
  }
  const auto one_more = plan.put(desktop(5000, 0, "one-more", 10));
  ASSERT_FALSE(one_more);
  EXPECT_EQ(one_more.error().code, ENOSPC);
  EXPECT_EQ(plan.remove(desktop(17, 0).addresses).gone.size(), 2U);
  EXPECT_TRUE(plan.put(desktop(5000, 0, "one-more", 10))) << "a number has become free";
}

TEST(ShapePlan, ATenantHasTheSameNumberInTheNextProcess) {
  ShapePlan one(Direction::kSend, {}), two(Direction::kSend, {});
  put(two, desktop(3, 0, "office", 10));
  EXPECT_EQ(put(one, desktop(1, 0, "school", 10)).put[0].minor,
            put(two, desktop(1, 0, "school", 10)).put[0].minor);
}

}  // namespace
}  // namespace panal::netconfine
