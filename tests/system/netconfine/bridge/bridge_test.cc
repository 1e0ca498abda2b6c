// A group on a bridge: its desktops hear each other and nobody else, and nobody says he is another.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "netconfine/bridge/bridge_rules.h"
#include "netconfine/bridge/group_bridges.h"
#include "netconfine/firewall/iptables/program.h"
#include "netconfine/netlink/enter.h"
#include "tests/system/netconfine/frames.h"
#include "tests/system/netconfine/iptables/plain_world.h"
#include "tests/system/netconfine/sandbox.h"

namespace panal::netconfine {
namespace {

using namespace testing;

Addresses addresses(DesktopId id) {
  return *AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id);
}

class Bridges : public ::testing::Test {
 protected:
  void inside(const std::function<Result<void>()>& work) {
    const auto done = run_inside(panal_, work);
    ASSERT_TRUE(done) << done.error().message();
  }
  void rules(const Senders& members) {
    inside([&]() -> Result<void> {
      PANAL_ASSIGN(const auto path, find_program("ebtables-restore"));
      const auto done = output_of({path, {}}, bridge_rules_text(members));
      return done ? Result<void>{} : tl::make_unexpected(done.error());
    });
  }
  void join(DesktopId id, std::uint32_t group, unsigned ports = kPortsOfABridge) {
    inside([&]() -> Result<void> {
      PANAL_ASSIGN(auto bridges, GroupBridges::open(ports));
      return bridges.join(group, addresses(id), networks_.at(id),
                          {ip4("10.77.0.0"), 16, ip6("fd77:70::"), 64});
    });
  }
  void make(DesktopId count) {
    Senders members;
    for (DesktopId id = 1; id <= count; ++id) {
      desktops_.emplace_back();
      networks_.emplace(id, desktops_.back().network());
      members[id] = {addresses(id), 1};
    }
    rules(members);
  }
  bool hears(DesktopId from, DesktopId to, bool v6) {
    const auto text = [&](DesktopId id) {
      return v6 ? to_string(addresses(id).ipv6) : to_string(addresses(id).ipv4);
    };
    return arrives(networks_.at(from), text(from), networks_.at(to), text(to), Protocol::kUdp,
                   7000);
  }
  std::vector<GroupBridges::Port> ports() {
    std::vector<GroupBridges::Port> all;
    inside([&]() -> Result<void> {
      PANAL_ASSIGN(auto bridges, GroupBridges::open());
      PANAL_ASSIGN(all, bridges.ports());
      return {};
    });
    return all;
  }

  UniqueFd panal_ = new_network_namespace();
  std::vector<FakeDesktop> desktops_;
  std::map<DesktopId, UniqueFd> networks_;
};

TEST_F(Bridges, AGroupHearsItselfAndNobodyElse) {
  make(3);
  join(1, 1);
  join(2, 1);
  join(3, 2);
  for (const bool v6 : {false, true}) {
    EXPECT_TRUE(hears(1, 2, v6)) << v6;
    EXPECT_TRUE(hears(2, 1, v6)) << v6;
    EXPECT_FALSE(hears(1, 3, v6)) << v6;
    EXPECT_FALSE(hears(3, 1, v6)) << v6;
  }
}

TEST_F(Bridges, FullBridgesHaveOthersBesideThem) {
  make(3);
  for (DesktopId id = 1; id <= 3; ++id) join(id, 9, 1);
  const auto all = ports();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_NE(all[0].bridge, all[1].bridge);
  EXPECT_NE(all[1].bridge, all[2].bridge);
  EXPECT_TRUE(hears(2, 3, false));
  EXPECT_TRUE(hears(3, 1, true));
  inside([&]() -> Result<void> {
    PANAL_ASSIGN(auto bridges, GroupBridges::open());
    PANAL_TRY(bridges.leave(addresses(1)));
    PANAL_TRY(bridges.leave(addresses(1)));
    return bridges.remove_group(9);
  });
  EXPECT_EQ(shell_inside(panal_, "ip -br link | grep -E '^pn[btu]'"), 1);
}

TEST_F(Bridges, ForgedFramesGoNowhere) {
  make(2);
  join(1, 1);
  join(2, 1);
  const Addresses me = addresses(1), mate = addresses(2);
  ASSERT_TRUE(hears(1, 2, false));
  Tap mouth(networks_.at(1), "eth1"), ear(networks_.at(2), "eth1");
  (void)ear.received();
  constexpr std::uint16_t kIp4 = 0x0800, kIp6 = 0x86dd, kArp = 0x0806;
  constexpr Mac kAll = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, kOther = {2, 2, 2, 2, 2, 2};
  const Ipv4 third = ip4("10.77.0.3");
  const Bytes datagram = udp4(me.ipv4, mate.ipv4);
  const std::vector<std::pair<const char*, Bytes>> forged = {
      {"another MAC", ethernet(mate.mac, kOther, kIp4, datagram)},
      {"the mate's MAC", ethernet(mate.mac, mate.mac, kIp4, datagram)},
      {"another address", ethernet(mate.mac, me.mac, kIp4, udp4(third, mate.ipv4))},
      {"another IPv6 address",
       ethernet(mate.mac, me.mac, kIp6, udp6(ip6("fd77:70::3"), mate.ipv6))},
      {"an ARP reply",
       ethernet(mate.mac, me.mac, kArp, arp(2, me.mac, me.ipv4, mate.mac, mate.ipv4))},
      {"an ARP request as another",
       ethernet(kAll, me.mac, kArp, arp(1, me.mac, third, Mac{}, ip4("10.77.0.9")))},
      {"an ARP request with another MAC",
       ethernet(kAll, me.mac, kArp, arp(1, kOther, me.ipv4, Mac{}, ip4("10.77.0.9")))},
      {"a neighbour advertisement",
       ethernet(mate.mac, me.mac, kIp6,
                icmp6(me.ipv6, mate.ipv6, 136,
                      Bytes{0x60, 0, 0, 0} + Bytes(me.ipv6.begin(), me.ipv6.end())))},
      {"a router advertisement", ethernet(Mac{0x33, 0x33, 0, 0, 0, 1}, me.mac, kIp6,
                                          icmp6(me.ipv6, ip6("ff02::1"), 134, Bytes(12, 0)))},
      {"a VLAN tag", ethernet(mate.mac, me.mac, 0x8100, Bytes{0, 5, 8, 0} + datagram)},
      {"spanning tree", ethernet(Mac{1, 0x80, 0xc2, 0, 0, 0}, me.mac, 38, Bytes(38, 0))},
      {"another protocol", ethernet(mate.mac, me.mac, 0x88b5, datagram)},
      {"a MAC that nobody has", ethernet(kOther, me.mac, kIp4, datagram)},
  };
  for (const auto& [name, frame] : forged) {
    mouth.send(frame);
    EXPECT_TRUE(ear.received().empty()) << name;
  }
  mouth.send(ethernet(mate.mac, me.mac, kIp4, datagram));
  EXPECT_EQ(ear.received().size(), 1U) << "an honest frame does not pass: the test is blind";
  mouth.send(ethernet(kAll, me.mac, kIp4, udp4(me.ipv4, ip4("255.255.255.255"))));
  EXPECT_EQ(ear.received().size(), 1U) << "frames to all are what a bridge is for";
  for (int i = 0; i < 2000; ++i)
    mouth.send(ethernet(kAll, me.mac, kIp4, udp4(me.ipv4, ip4("255.255.255.255"))));
  EXPECT_LT(ear.received().size(), 1500U) << "a storm";
}

}  // namespace
}  // namespace panal::netconfine
