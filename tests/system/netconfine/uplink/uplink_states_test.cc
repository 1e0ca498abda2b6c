// An uplink between processes, with parts of it lost, and cut off.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/system/netconfine/uplink/uplink_fixture.h"

namespace panal::netconfine {
namespace {

using testing::shell_inside;
using testing::UdpEar;

TEST_F(UplinkTest, ANewProcessTakesOverAndDoublesNothing) {
  {
    const auto first = open(veth_);
    up(*first);
  }
  const auto before = host_state();
  UdpEar ear(lan_, AF_INET, kPort);
  const auto next = open(veth_);
  up(*next);
  EXPECT_EQ(host_state(), before);
  EXPECT_EQ(drifts(*next), "");
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  // It still knows what the host was like before the first.
  ASSERT_TRUE(next->down());
  EXPECT_EQ(host("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "0\n");
}

TEST_F(UplinkTest, WhatTheHostWasLikeIsKnownWithoutItsTableOrItsLink) {
  for (const char* lost : {"nft flush ruleset", "ip link del panal-uplink"}) {
    {
      const auto first = open(veth_);
      up(*first);
    }
    ASSERT_EQ(shell_inside(host_, lost), 0);
    const auto next = open(veth_);
    up(*next);
    EXPECT_NE(host("nft list chain inet panal_uplink forward").find("iifname \"eth0\" counter"),
              std::string::npos)
        << lost;
    ASSERT_TRUE(next->down());
    EXPECT_EQ(host("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "0\n") << lost;
  }
}

TEST_F(UplinkTest, AProcessOfAnotherConfigurationTakesAwayWhatThereWas) {
  const auto before = host_state();
  {
    const auto first = open(veth_);
    up(*first);
  }
  const auto none = open({});
  EXPECT_NE(drifts(*none), "");
  up(*none);
  EXPECT_EQ(host_state(), before);
  EXPECT_EQ(drifts(*none), "");
}

TEST_F(UplinkTest, EveryKindOfDriftIsSeenAndMended) {
  const auto uplink = open(veth_);
  up(*uplink);
  struct Case {
    bool on_host;
    const char* command;
    const char* seen;
  };
  const std::vector<Case> cases = {
      {true, "nft flush ruleset", "table inet panal_uplink of the host is missing"},
      {true, "nft flush chain inet panal_uplink input", "panal_uplink of the host is another"},
      {true, "nft insert rule inet panal_uplink forward accept", "of the host is another"},
      {true, "ip link set panal-uplink down", "link panal-uplink of the host is down"},
      {true, "ip link del panal-uplink", "link panal-uplink of the host is missing"},
      {true, "echo 0 > /proc/sys/net/ipv4/conf/eth0/forwarding", "forwarding of eth0"},
      {false, "ip link set uplink0 down", "link uplink0 is down"},
      {false, "ip link set uplink0 alias mine", "link uplink0 is another"},
      {false, "ip route del default", "route to 0.0.0.0/0 is missing"},
  };
  UdpEar ear(lan_, AF_INET, kPort);
  for (const auto& one : cases) {
    ASSERT_EQ(shell_inside(one.on_host ? host_ : panal_, one.command), 0) << one.command;
    EXPECT_NE(drifts(*uplink).find(one.seen), std::string::npos)
        << one.command << ": " << drifts(*uplink);
    up(*uplink);
    EXPECT_EQ(drifts(*uplink), "") << one.command;
    ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
    EXPECT_EQ(hear(ear, 1), 1) << one.command;
  }
}

TEST_F(UplinkTest, WhatCannotBeMadeIsTakenDown) {
  const auto before = host_state();
  // A link of that name that is not ours.
  ASSERT_EQ(shell_inside(host_, "ip link add panal-uplink type bridge"), 0);
  const auto uplink = open(veth_);
  const auto done = uplink->up();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, EEXIST) << done.error().message();
  EXPECT_NE(done.error().message().find("no veth"), std::string::npos) << done.error().message();
  ASSERT_EQ(shell_inside(host_, "ip link del panal-uplink"), 0);
  EXPECT_EQ(host_state(), before);
}

TEST_F(UplinkTest, CutOffMeansNothingGoesOut) {
  const auto uplink = open(veth_);
  up(*uplink);
  ASSERT_TRUE(uplink->cut_off());
  UdpEar ear(lan_, AF_INET, kPort);
  (void)testing::say(desktop(), "192.168.1.1", kPort);
  EXPECT_EQ(ear.heard(), 0);
  up(*uplink);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
}

TEST_F(UplinkTest, CutOffLeavesNoRouterWhereTheTableIsLost) {
  const auto uplink = open(veth_);
  up(*uplink);
  ASSERT_EQ(shell_inside(lan_, "ip route add 10.9.0.0/24 via 192.168.1.2"), 0);
  ASSERT_EQ(shell_inside(host_, "nft flush ruleset"), 0);
  ASSERT_TRUE(uplink->cut_off());
  EXPECT_EQ(host("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "0\n");
  UdpEar ear(other_, AF_INET, kPort);
  (void)testing::say(lan_, "10.9.0.1", kPort);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(ear.heard(), 0) << "the host has become a router between its networks";
  EXPECT_NE(drifts(*uplink).find("forwarding of eth0 of the host is off"), std::string::npos)
      << drifts(*uplink);
  up(*uplink);
  EXPECT_EQ(drifts(*uplink), "");
  // Who forwarded before goes on.
  ASSERT_TRUE(uplink->down());
  ASSERT_EQ(shell_inside(host_, "echo 1 > /proc/sys/net/ipv4/ip_forward"), 0);
  const auto next = open(veth_);
  up(*next);
  ASSERT_TRUE(next->cut_off());
  EXPECT_EQ(host("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "1\n");
}

TEST_F(UplinkTest, CutOffLeavesNoRouterThatAnEarlierProcessMade) {
  {
    const auto first = open(veth_);
    up(*first);
  }
  // The table is lost between two processes, and the second may not make it anew.
  ASSERT_EQ(shell_inside(host_, "nft flush ruleset && ip route add 10.77.5.0/24 dev eth1"), 0);
  const auto next = open(veth_);
  ASSERT_FALSE(next->up());
  ASSERT_TRUE(next->cut_off());
  EXPECT_EQ(host("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "0\n");
  ASSERT_EQ(shell_inside(host_, "ip route del 10.77.5.0/24 dev eth1"), 0);
  up(*next);
  EXPECT_EQ(drifts(*next), "");
  ASSERT_TRUE(next->down());
  EXPECT_EQ(host("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "0\n");
}

TEST_F(UplinkTest, WhatTheHostNeedsOrHasIsRefusedWithASentence) {
  const auto refused = [&](const UplinkSettings& settings) {
    const auto before = host_state();
    const auto done = open(settings)->up();
    EXPECT_FALSE(done);
    EXPECT_EQ(host_state(), before);
    return done ? std::string() : done.error().message();
  };
  EXPECT_NE(refused({.kind = "veth", .device = "eth9"}).find("the host has no link eth9"),
            std::string::npos);
  UplinkSettings nic{.kind = "nic", .device = "eth0"};
  nic.address4 = "192.168.1.9", nic.gateway4 = "192.168.1.1";
  EXPECT_NE(refused(nic).find("own way out"), std::string::npos);
  ASSERT_EQ(shell_inside(host_, "ip route add 10.77.3.0/24 dev eth1"), 0);
  EXPECT_NE(refused(veth_).find("among desktops' addresses (10.77.3.0/24 by eth1)"),
            std::string::npos);
}

}  // namespace
}  // namespace panal::netconfine
