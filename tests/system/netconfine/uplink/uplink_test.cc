// What a veth with NAT lets out and in, and what it does to the host.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "tests/system/netconfine/uplink/uplink_fixture.h"

namespace panal::netconfine {
namespace {

using testing::output_inside;
using testing::shell_inside;
using testing::Tap;
using testing::UdpEar;

TEST_F(UplinkTest, WithoutOneNothingGoesOutAndNothingIsDoneToTheHost) {
  const auto before = host_state();
  const auto uplink = open({});
  up(*uplink);
  EXPECT_EQ(host_state(), before);
  EXPECT_EQ(drifts(*uplink), "");
  UdpEar ear(lan_, AF_INET, kPort);
  (void)testing::say(desktop(), "192.168.1.1", kPort);
  EXPECT_EQ(ear.heard(), 0);
}

TEST_F(UplinkTest, AVethLetsOutUnderTheHostsAddressAndAnswersBack) {
  const auto uplink = open(veth_);
  up(*uplink);
  EXPECT_EQ(drifts(*uplink), "");
  Tap wire(lan_, "lan0");
  UdpEar ear(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  ASSERT_TRUE(testing::say(desktop(), "8.8.8.8", kPort)) << "behind the router";
  EXPECT_EQ(hear(ear, 1), 1);
  for (const auto& frame : wire.received()) {
    if (frame.substr(24, 4) != "0800") continue;
    EXPECT_EQ(frame.substr(52, 8), "c0a80102") << "the sender is the host: " << frame;
  }
  // A whole conversation.
  EXPECT_EQ(shell_inside(desktop(),
                         "python3 - <<'END'\n"
                         "import socket\n"
                         "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                         "s.settimeout(1)\n"
                         "s.connect(('192.168.1.1', 9))\n"
                         "s.send(b'x')\n"
                         "try: s.recv(1)\n"
                         "except ConnectionRefusedError: raise SystemExit(0)\n"
                         "raise SystemExit(1)\nEND"),
            0)
      << "port unreachable is an answer that comes back";
}

TEST_F(UplinkTest, AVethLeavesTheHostAsItWas) {
  const auto before = host_state();
  const auto uplink = open(veth_);
  up(*uplink);
  EXPECT_NE(host_state(), before);
  ASSERT_TRUE(uplink->down());
  EXPECT_EQ(host_state(), before);
  ASSERT_TRUE(uplink->down()) << "twice is fine";
  UdpEar ear(lan_, AF_INET, kPort);
  (void)testing::say(desktop(), "192.168.1.1", kPort);
  EXPECT_EQ(ear.heard(), 0);
}

TEST_F(UplinkTest, WhatADryRunShowsIsWhatIsDone) {
  const auto uplink = open(veth_);
  const auto before = host_state();
  const auto lines = uplink->describe();
  ASSERT_TRUE(lines) << lines.error().message();
  EXPECT_EQ(host_state(), before) << "showing changes nothing";
  // A person types it, and gets the same table.
  const std::string panal =
      "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(panal_.get());
  for (auto line : *lines) {
    const bool inside = line.starts_with("# in panal's");
    for (std::size_t at; (at = line.find("<panal>")) != std::string::npos;) {
      line.replace(at, 7, panal);
    }
    EXPECT_EQ(shell_inside(inside ? panal_ : host_, "set -e\n" + line + "\n"), 0) << line;
  }
  const auto by_hand = host("nft -s -t list ruleset");
  UdpEar ear(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1) << "it works typed by hand, too";
  up(*uplink);
  EXPECT_EQ(host("nft -s -t list ruleset"), by_hand);
}

TEST_F(UplinkTest, TheHostItselfAndItsOtherNetworksAreOutOfReach) {
  const auto uplink = open(veth_);
  up(*uplink);
  UdpEar host(host_, AF_INET, kPort), other(other_, AF_INET, kPort);
  for (const char* address : {"192.168.1.2", "10.9.0.2", "127.0.0.1", "169.254.1.2", "10.9.0.1",
                              "255.255.255.255", "192.168.1.255", "224.0.0.1"}) {
    (void)testing::say(desktop(), address, kPort);
  }
  // What was allowed comes last, and has arrived: then so would the others have.
  UdpEar lan(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(lan, 1), 1);
  EXPECT_EQ(host.heard(), 0);
  EXPECT_EQ(other.heard(), 0);
}

TEST_F(UplinkTest, NobodyOutsideReachesDesktops) {
  const auto uplink = open(veth_);
  up(*uplink);
  UdpEar ear(desktop(), AF_INET, kPort);
  ASSERT_EQ(shell_inside(lan_, "ip route add 10.77.0.0/16 via 192.168.1.2"), 0);
  ASSERT_EQ(shell_inside(other_, "ip route replace 10.77.0.0/16 via 10.9.0.2"), 0);
  for (const auto* from : {&lan_, &other_, &host_}) {
    (void)testing::say(*from, "10.77.0.1", kPort);
  }
  UdpEar lan(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(lan, 1), 1);
  EXPECT_EQ(ear.heard(), 0);
}

TEST_F(UplinkTest, AHostThatDidNotForwardDoesSoForDesktopsAlone) {
  const auto uplink = open(veth_);
  up(*uplink);
  ASSERT_EQ(shell_inside(lan_, "ip route add 10.9.0.0/24 via 192.168.1.2"), 0);
  UdpEar ear(other_, AF_INET, kPort);
  (void)testing::say(lan_, "10.9.0.1", kPort);
  UdpEar lan(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(lan, 1), 1);
  EXPECT_EQ(ear.heard(), 0) << "the host has become a router between its networks";
}

TEST_F(UplinkTest, AHostThatDropsWhatItForwardsAsDockersDoes) {
  like_docker();
  const auto before = host_state();
  const auto uplink = open(veth_);
  up(*uplink);
  EXPECT_EQ(drifts(*uplink), "");
  UdpEar ear(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  EXPECT_NE(host("iptables-nft -S DOCKER-USER").find("panal-uplink"), std::string::npos);
  // Docker starts anew and flushes: seen, mended, not doubled.
  ASSERT_EQ(shell_inside(host_, "iptables-nft -F DOCKER-USER"), 0);
  EXPECT_NE(drifts(*uplink).find("misses the rule"), std::string::npos) << drifts(*uplink);
  up(*uplink);
  up(*uplink);
  EXPECT_EQ(host("iptables-nft -S DOCKER-USER | grep -c panal-uplink"), "2\n");
  ASSERT_EQ(shell_inside(host_, "iptables-nft -A DOCKER-USER -j RETURN"), 0);
  ASSERT_TRUE(uplink->down());
  EXPECT_EQ(host_state(), before);
}

TEST_F(UplinkTest, IPv6GoesOutWhereTheHostForwardsIt) {
  const auto silent = open(veth_);
  up(*silent);
  UdpEar ear(lan_, AF_INET6, kPort);
  (void)testing::say(desktop(), "2001:db8:1::1", kPort);
  EXPECT_EQ(ear.heard(), 0) << "this host does not";
  ASSERT_EQ(shell_inside(host_, "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"), 0);
  const auto uplink = open(veth_);
  up(*uplink);
  EXPECT_EQ(drifts(*uplink), "");
  ASSERT_TRUE(testing::say(desktop(), "2001:db8:1::1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  UdpEar host(host_, AF_INET6, kPort);
  (void)testing::say(desktop(), "2001:db8:1::2", kPort);
  (void)testing::say(desktop(), "::1", kPort);
  ASSERT_TRUE(testing::say(desktop(), "2001:db8:1::1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  EXPECT_EQ(host.heard(), 0);
}

TEST_F(UplinkTest, TheAddressOfADesktopThatIsNotThereLeadsNowhere) {
  const auto uplink = open(veth_);
  up(*uplink);
  for (const char* address : {"10.77.0.9", "10.77.255.255"}) {
    (void)testing::say(desktop(), address, kPort);
  }
  UdpEar ear(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  EXPECT_EQ(output_inside(panal_, "ip route get 10.77.0.9 2>&1 | head -1 | grep -c uplink0"),
            "0\n");
  EXPECT_EQ(output_inside(host_,
                          "nft list chain inet panal_uplink from_desktops | "
                          "grep -c 'oifname != \"eth0\" counter packets 0 '"),
            "1\n")
      << "none of it came to the host";
}

TEST_F(UplinkTest, OneDesktopCannotFillTheNeighbourTable) {
  const auto uplink = open(veth_);
  up(*uplink);
  ASSERT_EQ(shell_inside(host_, "ip addr add 172.16.0.1/16 dev eth0"), 0);
  const auto neighbours = [&] {
    return std::stoi(host("ip neigh show dev eth0 | grep -c '^172.16' || true"));
  };
  for (int i = 0; i < 1000; ++i) {
    (void)testing::say(desktop(),
                       "172.16." + std::to_string(1 + i / 250) + "." + std::to_string(1 + i % 250),
                       kPort);
  }
  EXPECT_GT(neighbours(), 0);
  // 32 at once and two a second.
  EXPECT_LT(neighbours(), 200);
  // It still reaches what it did, and others what they want.
  add_desktop(2);
  UdpEar ear(lan_, AF_INET, kPort);
  // The kernel starts a new link's queues some time after it came up.
  int heard = 0;
  for (int i = 0; i < 5 && heard == 0; ++i) {
    ASSERT_TRUE(testing::say(desktops_[1], "192.168.1.1", kPort));
    heard = hear(ear, 1);
  }
  EXPECT_GT(heard, 0);
}

TEST_F(UplinkTest, OneDesktopCannotFillTheConnectionTable) {
  const auto uplink = open(veth_);
  up(*uplink);
  const auto lines = uplink->describe();
  ASSERT_TRUE(lines);
  // A datagram a port: each a connection of its own in the host's table.
  ASSERT_EQ(shell_inside(desktop(),
                         "python3 - <<'END'\n"
                         "import socket\n"
                         "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                         "for port in range(10000, 20000):\n"
                         "    s.sendto(b'x', ('8.8.8.8', port))\nEND"),
            0);
  const int most =
      std::stoi(host("nft list table inet panal_uplink | "
                     "grep -o 'ip saddr ct count over [0-9]*' | head -1 | grep -o '[0-9]*$'"));
  const int count = std::stoi(host("cat /proc/sys/net/netfilter/nf_conntrack_count"));
  EXPECT_GT(count, 0);
  EXPECT_LE(count, most + 50) << "of 10,000 that were tried";
  add_desktop(2);
  UdpEar ear(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktops_[1], "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1) << "others are not hindered";
}

}  // namespace
}  // namespace panal::netconfine
