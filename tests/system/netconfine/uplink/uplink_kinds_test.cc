// Uplinks that are in the LAN themselves: a macvlan, a card that is moved in.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

#include "tests/system/netconfine/uplink/uplink_fixture.h"

namespace panal::netconfine {
namespace {

using testing::output_inside;
using testing::shell_inside;
using testing::UdpEar;

// Masked by what the firewall does with Ruleset::masquerade.
void masquerade(const UniqueFd& panal) {
  ASSERT_EQ(shell_inside(panal,
                         "nft 'table ip nat { chain post { type nat hook postrouting priority "
                         "srcnat; oifname \"uplink0\" masquerade; }; }'"),
            0);
}

TEST_F(UplinkTest, AMacvlanIsInTheLanPastTheHost) {
  const auto before = host_state();
  UplinkSettings settings{.kind = "macvlan", .device = "eth0"};
  settings.address4 = "192.168.1.9", settings.gateway4 = "192.168.1.1";
  settings.address6 = "2001:db8:1::9", settings.gateway6 = "2001:db8:1::1";
  const auto uplink = open(settings);
  up(*uplink);
  masquerade(panal_);
  EXPECT_EQ(host_state(), before) << "nothing of the host's is changed";
  EXPECT_EQ(drifts(*uplink), "");
  UdpEar ear(lan_, AF_INET, kPort), ear6(lan_, AF_INET6, kPort);
  ASSERT_TRUE(testing::say(desktop(), "8.8.8.8", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  const auto mac = output_inside(panal_, "cat /proc/net/arp | grep -c 192.168.1.1");
  EXPECT_EQ(mac, "1\n");
  // Not even the LAN is asked for addresses: all goes to the router.
  for (int i = 10; i < 60; ++i) {
    (void)testing::say(desktop(), "192.168.1." + std::to_string(i), kPort);
  }
  EXPECT_EQ(output_inside(panal_, "ip neigh show dev uplink0 | grep -vc '^192.168.1.1 '"), "0\n");
  const auto link = output_inside(panal_, "ip link show uplink0 | grep -o 'ether [^ ]*'");
  up(*uplink);
  EXPECT_EQ(output_inside(panal_, "ip link show uplink0 | grep -o 'ether [^ ]*'"), link);
  ASSERT_TRUE(uplink->down());
  EXPECT_EQ(host_state(), before);
  EXPECT_NE(shell_inside(panal_, "ip link show uplink0 2>/dev/null"), 0);
}

TEST_F(UplinkTest, WhatIsDirectIsReachedPastTheRouter) {
  UplinkSettings settings{.kind = "macvlan", .device = "eth0"};
  settings.address4 = "192.168.1.9", settings.gateway4 = "192.168.1.254";
  settings.direct = {"192.168.1.1"};
  const auto uplink = open(settings);
  up(*uplink);
  masquerade(panal_);
  EXPECT_EQ(drifts(*uplink), "");
  UdpEar ear(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1) << "there is no such router";
}

TEST_F(UplinkTest, ACardIsMovedInAndComesBack) {
  UplinkSettings settings{.kind = "nic", .device = "eth1"};
  settings.address4 = "10.9.0.9", settings.gateway4 = "10.9.0.1";
  const auto links = [&] { return host("ip -br link show | sed 's/@.*//; s/ .*//' | sort"); };
  const auto before = links();
  {
    const auto uplink = open(settings);
    up(*uplink);
    EXPECT_EQ(drifts(*uplink), "");
    EXPECT_EQ(links().find("eth1"), std::string::npos);
  }
  masquerade(panal_);
  UdpEar ear(other_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "10.9.0.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  // A new process finds it by its alias, and gives it back under its name.
  const auto next = open(settings);
  up(*next);
  EXPECT_EQ(drifts(*next), "");
  ASSERT_TRUE(next->down());
  EXPECT_EQ(links(), before);
}

TEST_F(UplinkTest, OneKindFollowsAnother) {
  const auto before = host_state();
  UplinkSettings macvlan{.kind = "macvlan", .device = "eth0"};
  macvlan.address4 = "192.168.1.9", macvlan.gateway4 = "192.168.1.1";
  UdpEar ear(lan_, AF_INET, kPort);
  for (const auto& settings : {veth_, macvlan, veth_, macvlan}) {
    const auto uplink = open(settings);
    up(*uplink);
    EXPECT_EQ(drifts(*uplink), "") << settings.kind;
    if (settings.kind == "macvlan") {
      EXPECT_EQ(host_state(), before);
      masquerade(panal_);
    }
    ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
    EXPECT_EQ(hear(ear, 1), 1) << settings.kind;
    (void)shell_inside(panal_, "nft flush ruleset");
  }
}

}  // namespace
}  // namespace panal::netconfine
