#include "netconfine/address/address_pool.h"

#include <gtest/gtest.h>

namespace panal::netconfine {
namespace {

struct Place {
  const char* subnet4;
  const char* subnet6;
  DesktopId id;
  const char* ipv4;
  const char* ipv6;
  const char* mac;
};

class Places : public ::testing::TestWithParam<Place> {};

TEST_P(Places, TheNthDesktopHasTheNthAddress) {
  const auto& place = GetParam();
  const auto pool = AddressPool::parse(place.subnet4, place.subnet6);
  ASSERT_TRUE(pool) << pool.error().message();
  const auto addresses = pool->of(place.id);
  ASSERT_TRUE(addresses) << addresses.error().message();
  EXPECT_EQ(to_string(addresses->ipv4), place.ipv4);
  EXPECT_EQ(to_string(addresses->ipv6), place.ipv6);
  EXPECT_EQ(to_string(addresses->mac), place.mac);
  EXPECT_EQ(addresses->mac[0] & 3, 2) << "unicast, locally administered";
  EXPECT_EQ(addresses->gateway_mac[0] & 3, 2);
  EXPECT_NE(addresses->mac, addresses->gateway_mac);
}

TEST(AddressPool, KnowsHowManyDesktopsItIsFor) {
  const auto pool = AddressPool::parse("10.77.0.0/24", "fd77:70::/64");
  ASSERT_TRUE(pool) << pool.error().message();
  EXPECT_EQ(pool->count(), 254U);
  EXPECT_TRUE(pool->of(254));
  EXPECT_FALSE(pool->of(255));
}

INSTANTIATE_TEST_SUITE_P(
    Table, Places,
    ::testing::Values(
        Place{"10.77.0.0/16", "fd77:70::/64", 1, "10.77.0.1", "fd77:70::1", "02:70:00:00:00:01"},
        Place{"10.77.0.0/16", "fd77:70::/64", 256, "10.77.1.0", "fd77:70::100",
              "02:70:00:00:01:00"},
        Place{"10.77.0.0/16", "fd77:70::/64", 65534, "10.77.255.254", "fd77:70::fffe",
              "02:70:00:00:ff:fe"},
        Place{"192.168.5.128/30", "fd00::/96", 2, "192.168.5.130", "fd00::2", "02:70:00:00:00:02"},
        Place{"10.0.0.0/8", "2001:db8::/32", 16777214, "10.255.255.254", "2001:db8::ff:fffe",
              "02:70:00:ff:ff:fe"}));

TEST(AddressPool, RangesEndWithASentence) {
  const auto pool = AddressPool::parse("10.77.0.0/24", "fd77::/64");
  ASSERT_TRUE(pool);
  EXPECT_TRUE(pool->of(254));
  EXPECT_EQ(pool->of(255).error().code, ENOSPC) << "255 is the broadcast address";
  EXPECT_NE(pool->of(255).error().message().find("subnet4"), std::string::npos);
  EXPECT_EQ(pool->of(std::int64_t{1} << 40).error().code, ENOSPC);
  EXPECT_EQ(pool->of(0).error().code, EINVAL);
  EXPECT_EQ(pool->of(-1).error().code, EINVAL);
}

struct BadPlan {
  const char* subnet4;
  const char* subnet6;
  const char* named;
};

class BadPlans : public ::testing::TestWithParam<BadPlan> {};

TEST_P(BadPlans, AreRefusedByName) {
  const auto pool = AddressPool::parse(GetParam().subnet4, GetParam().subnet6);
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().code, EINVAL);
  EXPECT_NE(pool.error().message().find(GetParam().named), std::string::npos)
      << pool.error().message();
}

INSTANTIATE_TEST_SUITE_P(Table, BadPlans,
                         ::testing::Values(BadPlan{"", "fd77::/64", "subnet4"},
                                           BadPlan{"10.77.0.0", "fd77::/64", "subnet4"},
                                           BadPlan{"10.77.0.0/", "fd77::/64", "subnet4"},
                                           BadPlan{"10.77.0.0/7", "fd77::/64", "8..30"},
                                           BadPlan{"10.77.0.0/31", "fd77::/64", "8..30"},
                                           BadPlan{"10.77.0.0/-1", "fd77::/64", "8..30"},
                                           BadPlan{"10.77.0.0/16x", "fd77::/64", "8..30"},
                                           BadPlan{"10.77.0.0/99999999999", "fd77::/64", "8..30"},
                                           BadPlan{"10.77.0.1/16", "fd77::/64", "past the prefix"},
                                           BadPlan{"10.77/16", "fd77::/64", "not an IPv4"},
                                           BadPlan{"fd77::/16", "fd77::/64", "not an IPv4"},
                                           BadPlan{"10.77.0.0/16", "", "subnet6"},
                                           BadPlan{"10.77.0.0/16", "fd77::/97", "32..96"},
                                           BadPlan{"10.77.0.0/16", "fd77::1/64", "past the prefix"},
                                           BadPlan{"10.77.0.0/16", "10.0.0.0/64", "not an IPv6"},
                                           BadPlan{"10.77.0.0/16", "fd77:::/64", "not an IPv6"}));

TEST(LinkNames, OnlyOursAreOurs) {
  EXPECT_EQ(link_name(7), "pnl7");
  EXPECT_EQ(id_of_link("pnl7"), 7);
  EXPECT_EQ(id_of_link("pnl123456789012"), 123456789012);
  for (const char* other : {"", "pnl", "pnl0", "pnl07", "pnl-7", "pnl+7", "pnl7x", "Pnl7", "eth0",
                            "pnl99999999999999999999", " pnl7"}) {
    EXPECT_EQ(id_of_link(other), 0) << other;
  }
}

TEST(AddressPool, KnowsWhoseAnAddressIs) {
  const auto pool = AddressPool::parse("10.77.0.0/24", "fd77:70::/64");
  ASSERT_TRUE(pool);
  EXPECT_EQ(pool->id_of("10.77.0.7"), 7);
  EXPECT_EQ(pool->id_of("fd77:70::7"), 7);
  for (const DesktopId id : {DesktopId{1}, DesktopId{254}}) {
    const auto addresses = pool->of(id);
    ASSERT_TRUE(addresses);
    EXPECT_EQ(pool->id_of(to_string(addresses->ipv4)), id);
    EXPECT_EQ(pool->id_of(to_string(addresses->ipv6)), id);
  }
  for (const char* other : {"", "x", "10.77.0.0", "10.77.0.255", "10.77.1.7", "10.76.0.7",
                            "fd77:70::", "fd77:70::ff", "fd77:70:0:1::7", "fd77:70::1:0:7", "::7"})
    EXPECT_EQ(pool->id_of(other), 0) << other;
}

}  // namespace
}  // namespace panal::netconfine
