// The rules of the bridge family by themselves: mates talk, by every protocol and to all; what a
// hostile mate may send besides goes nowhere.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "netconfine/firewall/nft/bridge_ruleset.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/policy/group_number.h"
#include "tests/system/netconfine/bridge/classroom.h"
#include "tests/system/netconfine/frames.h"

namespace panal::netconfine {
namespace {

using namespace testing;
using ::testing::ElementsAre;

constexpr const char* kToAll[] = {"255.255.255.255", "10.77.255.255", "ff02::1"};
constexpr std::uint16_t kIp4 = 0x0800, kIp6 = 0x86dd, kArp = 0x0806;
constexpr Mac kAll = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr Mac kAllNodes = {0x33, 0x33, 0, 0, 0, 1};

std::string hex(const Bytes& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

Bytes with_address(Bytes begin, const Ipv6& address) {
  begin.insert(begin.end(), address.begin(), address.end());
  return begin;
}

/// A frame, and what of it would be seen at a mate: its packet.
struct Attack {
  const char* name;
  Bytes frame;
  Bytes core = {};  ///< empty: all behind the Ethernet header

  [[nodiscard]] std::string mark() const {
    return hex(core.empty() ? Bytes(frame.begin() + 14, frame.end()) : core);
  }
};

class BridgeRules : public ::testing::Test {
 protected:
  /// Desktops 1 and 2 in the room, 3 in the hall; or all up to the last, which is in the hall.
  void begin(unsigned most = kMostMembers, DesktopId last = 3) {
    world_.emplace(most);
    last_ = last;
    for (std::uint32_t id = 1; id <= 2; ++id) {
      CompiledPolicy policy;
      policy.id = id;
      policy.name = id == 1 ? "pupil" : "singer";
      policy.tenant = "acme";
      policy.group = id;
      policy.group_name = id == 1 ? "class" : "choir";
      policy.bridged = true;
      rules_.policies.push_back(policy);
    }
    load();
    for (DesktopId id = 1; id <= last_; ++id) {
      world_->add(id);
      world_->join(id, group_number(rules_.policies[id == last_ ? 1 : 0]));
      await_link(world_->panal(), member_name(id));
      await_link(world_->inside(id), kGroupInsideName);
    }
  }
  void commit(std::vector<Message> messages) {
    const auto done = run_inside(world_->panal(), [&]() -> Result<void> {
      PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_NETFILTER));
      return socket.transact(as_batch(std::move(messages)));
    });
    ASSERT_TRUE(done) << done.error().message();
  }
  void load() {
    std::vector<Sender> senders;
    for (DesktopId id = 1; id <= last_; ++id)
      senders.push_back({Classroom::addresses(id), id == last_ ? 2U : 1U});
    const auto table = bridge_table(rules_, senders);
    ASSERT_TRUE(table) << table.error().message();
    auto messages = new_bridge_table(*table);
    const auto inside = bridge_contents(*table);
    ASSERT_TRUE(messages && inside);
    messages->insert(messages->end(), inside->begin(), inside->end());
    commit(std::move(*messages));
  }
  /// Whether one of the mate's frames says it.
  static bool seen(Tap& ear, const std::string& mark) {
    const auto frames = ear.received();
    return std::any_of(frames.begin(), frames.end(), [&](const std::string& frame) {
      return frame.find(mark) != std::string::npos;
    });
  }
  static bool arrives(Tap& mouth, Tap& ear, const Attack& attack) {
    (void)ear.received();
    mouth.send(attack.frame);
    ::usleep(20'000);
    return seen(ear, attack.mark());
  }

  std::optional<Classroom> world_;
  Ruleset rules_;
  DesktopId last_ = 3;
};

TEST_F(BridgeRules, MatesTalkAndOthersDoNot) {
  for (const unsigned most : {kMostMembers, 1U}) {
    rules_ = {};
    begin(most);
    for (const bool v6 : {false, true}) {
      EXPECT_TRUE(world_->hears(2, 1, v6)) << v6 << most;
      EXPECT_TRUE(world_->hears(1, 2, v6)) << v6 << most;
      EXPECT_FALSE(world_->hears(3, 1, v6)) << v6 << most;
    }
    for (const char* address : kToAll)
      EXPECT_THAT(world_->who_hears(1, address, {2, 3}), ElementsAre(2)) << address << most;
  }
}

TEST_F(BridgeRules, ABridgeOfTwoGroupsIsAWallLess) {
  begin();
  // Somebody has put a desktop on another group's bridge: the rules still tell them apart.
  ASSERT_EQ(shell_inside(world_->panal(), "ip link set dev png3 master " + bridge_name({kRoom, 0}) +
                                              " && bridge fdb replace 02:70:00:00:00:03 dev png3"
                                              " master static"),
            0);
  EXPECT_FALSE(world_->hears(3, 1, false));
  for (const char* address : kToAll)
    EXPECT_THAT(world_->who_hears(1, address, {2, 3}), ElementsAre(2)) << address;
}

TEST_F(BridgeRules, NothingForgedPasses) {
  begin();
  ASSERT_EQ(group_number(rules_.policies[0]), kRoom);
  ASSERT_TRUE(world_->hears(2, 1, false));
  ASSERT_TRUE(world_->hears(2, 1, true));
  const Addresses me = Classroom::addresses(1), mate = Classroom::addresses(2);
  constexpr Mac kOther = {2, 2, 2, 2, 2, 2};
  const Ipv4 third = ip4("10.77.0.3");
  const Ipv6 third6 = ip6("fd77:70::3"), all_nodes = ip6("ff02::1");
  const auto four = [&](const Bytes& packet) { return ethernet(mate.mac, me.mac, kIp4, packet); };
  const auto six = [&](const Bytes& packet) { return ethernet(mate.mac, me.mac, kIp6, packet); };
  const Bytes datagram = udp4(me.ipv4, mate.ipv4, 7101);
  const Bytes my_mac = bytes_of(me.mac), other_mac = bytes_of(kOther);
  // Flags, target, option 2: its MAC.
  const auto answer = [&](std::uint8_t flags, const Ipv6& target, const Bytes& mac,
                          std::uint8_t hops = 255) {
    const Bytes whole = icmp6(me.ipv6, mate.ipv6, 136,
                              with_address(Bytes{flags, 0, 0, 0}, target) + Bytes{2, 1} + mac);
    return ipv6(me.ipv6, mate.ipv6, 58, Bytes(whole.begin() + 40, whole.end()), hops);
  };
  // To one that knows its MAC.
  const auto bare_answer = [&](std::uint8_t flags, const Ipv6& target) {
    return icmp6(me.ipv6, mate.ipv6, 136, with_address(Bytes{flags, 0, 0, 0}, target));
  };
  const auto question = [&](const Bytes& mac, const Ipv6& from, std::uint8_t hops = 255) {
    const Bytes whole =
        icmp6(from, mate.ipv6, 135, with_address(Bytes(4, 0), mate.ipv6) + Bytes{1, 1} + mac);
    return ipv6(from, mate.ipv6, 58, Bytes(whole.begin() + 40, whole.end()), hops);
  };
  Bytes long_by_one = udp4(me.ipv4, mate.ipv4, 7102);
  long_by_one[3] = static_cast<std::uint8_t>(long_by_one[3] + 1);  // past its frame's end
  Bytes dhcp = udp4(me.ipv4, mate.ipv4, 68);
  dhcp[20] = 0;
  dhcp[21] = 67;
  Bytes dhcp6 = udp6(me.ipv6, mate.ipv6, 546);
  dhcp6[40] = 0x02;
  dhcp6[41] = 0x23;
  const Bytes arp_mac_of_another = arp(1, kOther, me.ipv4, Mac{}, mate.ipv4);
  // With the packet that it is about.
  const auto error4 = [&](std::uint8_t type, const Bytes& about) {
    return four(
        ipv4(me.ipv4, mate.ipv4, Bytes{type, 3, 0, 0, 0, 0, 0, 0} + about, {.protocol = 1}));
  };
  const auto error6 = [&](std::uint8_t type, const Bytes& about) {
    return six(icmp6(me.ipv6, mate.ipv6, type, Bytes(4, 0) + about));
  };

  const std::vector<Attack> attacks = {
      {"another's IPv4 address", four(udp4(third, mate.ipv4))},
      {"the mate's own IPv4 address", four(udp4(mate.ipv4, mate.ipv4))},
      {"another's IPv6 address", six(udp6(third6, mate.ipv6))},
      {"no IPv6 address", six(udp6(Ipv6{}, mate.ipv6))},
      {"another's IPv4 address, to all",
       ethernet(kAll, me.mac, kIp4, udp4(third, ip4("255.255.255.255")))},
      {"an ARP request as another",
       ethernet(kAll, me.mac, kArp, arp(1, me.mac, third, Mac{}, mate.ipv4))},
      {"an ARP request with another MAC", ethernet(kAll, me.mac, kArp, arp_mac_of_another)},
      {"an ARP answer for another",
       ethernet(mate.mac, me.mac, kArp, arp(2, me.mac, third, mate.mac, mate.ipv4))},
      {"an ARP answer with another MAC",
       ethernet(mate.mac, me.mac, kArp, arp(2, kOther, me.ipv4, mate.mac, mate.ipv4))},
      {"a reverse ARP request",
       ethernet(kAll, me.mac, kArp, arp(3, me.mac, me.ipv4, mate.mac, mate.ipv4))},
      {"an advertisement for another", six(answer(0x60, third6, my_mac))},
      {"an advertisement with another MAC", six(answer(0x60, me.ipv6, other_mac))},
      {"an advertisement as a router", six(answer(0xe0, me.ipv6, my_mac))},
      {"an advertisement from afar", six(answer(0x60, me.ipv6, my_mac, 64))},
      {"an advertisement for another, without a MAC", six(bare_answer(0x40, third6))},
      {"an advertisement as a router, without a MAC", six(bare_answer(0xc0, me.ipv6))},
      {"a solicitation with another MAC", six(question(other_mac, me.ipv6))},
      {"a solicitation as another", six(question(my_mac, third6))},
      {"a solicitation from afar", six(question(my_mac, me.ipv6, 64))},
      {"a router's solicitation", six(icmp6(me.ipv6, mate.ipv6, 133, Bytes(4, 0)))},
      {"a router's advertisement",
       ethernet(kAllNodes, me.mac, kIp6, icmp6(me.ipv6, all_nodes, 134, Bytes(12, 0)))},
      {"a redirect", six(icmp6(me.ipv6, mate.ipv6, 137,
                               with_address(with_address(Bytes(4, 0), third6), third6)))},
      {"an error about another's packet", error4(3, udp4(mate.ipv4, third, 7107))},
      {"time exceeded of another's packet", error4(11, udp4(mate.ipv4, third, 7107))},
      {"an error about nothing", error4(3, Bytes(4, 7))},
      {"an IPv6 error about another's packet", error6(1, udp6(mate.ipv6, third6, 7108))},
      {"too big, of another's way", error6(2, udp6(mate.ipv6, third6, 7108))},
      {"an IPv6 error nobody knows", error6(100, udp6(mate.ipv6, third6, 7108))},
      {"a redirect of ICMP", error4(5, udp4(mate.ipv4, me.ipv4, 7109))},
      {"a router's advertisement of ICMP", error4(9, Bytes(16, 9))},
      {"a router's solicitation of ICMP", error4(10, Bytes(16, 10))},
      {"who listens to what", six(icmp6(me.ipv6, mate.ipv6, 131, Bytes(20, 1)))},
      {"another number for routers", six(icmp6(me.ipv6, mate.ipv6, 138, Bytes(20, 2)))},
      {"inverse discovery", six(icmp6(me.ipv6, mate.ipv6, 141, Bytes(20, 3)))},
      {"an IPv4 DHCP server", four(dhcp)},
      {"an IPv6 DHCP server", six(dhcp6)},
      {"an IPv4 DHCP answer by another port", four(udp4(me.ipv4, mate.ipv4, 68))},
      {"an IPv6 DHCP answer by another port", six(udp6(me.ipv6, mate.ipv6, 546))},
      {"a fragment", four(udp4(me.ipv4, mate.ipv4, 7103, {.fragment = 0x2000}))},
      {"a last fragment", four(udp4(me.ipv4, mate.ipv4, 7104, {.fragment = 0x0001}))},
      {"IPv4 options", four(udp4(me.ipv4, mate.ipv4, 7105, {.options = {7, 3, 4, 0}}))},
      {"an IPv6 fragment",
       six(ipv6(me.ipv6, mate.ipv6, 44, Bytes{17, 0, 0, 1, 0, 0, 0, 1} + Bytes(16, 1)))},
      {"IPv6 hop-by-hop options",
       six(ipv6(me.ipv6, mate.ipv6, 0, Bytes{17, 0, 1, 4, 0, 0, 0, 0} + Bytes(16, 2)))},
      {"a packet longer than its frame", four(long_by_one)},
      {"a VLAN tag", ethernet(mate.mac, me.mac, 0x8100, Bytes{0, 5, 8, 0} + datagram), datagram},
      {"a provider's VLAN tag", ethernet(mate.mac, me.mac, 0x88a8, Bytes{0, 5, 8, 0} + datagram),
       datagram},
      {"another protocol", ethernet(mate.mac, me.mac, 0x88b5, Bytes(46, 3))},
      {"spanning tree", ethernet(Mac{1, 0x80, 0xc2, 0, 0, 0}, me.mac, 38, Bytes(38, 4))},
      {"LLDP", ethernet(Mac{1, 0x80, 0xc2, 0, 0, 0x0e}, me.mac, 0x88cc, Bytes(46, 5))},
  };
  Tap mouth(world_->inside(1), kGroupInsideName), ear(world_->inside(2), kGroupInsideName);
  for (const Attack& attack : attacks) EXPECT_FALSE(arrives(mouth, ear, attack)) << attack.name;
  // The same, but honest: the test does see what passes.
  const std::vector<Attack> honest = {
      {"a datagram", four(datagram)},
      {"an IPv6 datagram", six(udp6(me.ipv6, mate.ipv6))},
      {"a datagram to all", ethernet(kAll, me.mac, kIp4, udp4(me.ipv4, ip4("255.255.255.255")))},
      {"an ARP request", ethernet(kAll, me.mac, kArp, arp(1, me.mac, me.ipv4, Mac{}, mate.ipv4))},
      {"an ARP answer",
       ethernet(mate.mac, me.mac, kArp, arp(2, me.mac, me.ipv4, mate.mac, mate.ipv4))},
      {"a solicitation", six(question(my_mac, me.ipv6))},
      {"an advertisement", six(answer(0x60, me.ipv6, my_mac))},
      {"an advertisement without a MAC", six(bare_answer(0x40, me.ipv6))},
      {"a ping", four(ping4(me.ipv4, mate.ipv4))},
      {"an error about what it was sent", error4(3, udp4(mate.ipv4, me.ipv4, 7110))},
      {"an IPv6 error about what it was sent", error6(1, udp6(mate.ipv6, me.ipv6, 7110))},
  };
  for (const Attack& one : honest) EXPECT_TRUE(arrives(mouth, ear, one)) << one.name;

  const Attack storm{"a storm",
                     ethernet(kAll, me.mac, kIp4, udp4(me.ipv4, ip4("255.255.255.255"), 7106))};
  (void)ear.received();
  for (int i = 0; i < 2000; ++i) mouth.send(storm.frame);
  ::usleep(100'000);
  const auto frames = ear.received();
  const auto passed = std::count_if(frames.begin(), frames.end(), [&](const std::string& frame) {
    return frame.find(storm.mark()) != std::string::npos;
  });
  EXPECT_LT(passed, 1500) << "a storm";
  EXPECT_GT(passed, 0);
}

TEST_F(BridgeRules, StormsOfManyAreBoundTogether) {
  constexpr DesktopId kMates = 9;
  constexpr int kEach = 180;  // which each of them may at once
  begin(kMostMembers, kMates + 1);
  ASSERT_TRUE(world_->hears(2, 1, false));
  std::vector<Tap> mouths;
  for (DesktopId id = 1; id <= kMates; ++id)
    mouths.emplace_back(world_->inside(id), kGroupInsideName);
  for (int i = 0; i < kEach; ++i) {
    for (DesktopId id = 1; id <= kMates; ++id) {
      const Addresses own = Classroom::addresses(id);
      mouths[static_cast<std::size_t>(id - 1)].send(
          ethernet(kAll, own.mac, kIp4, udp4(own.ipv4, ip4("255.255.255.255"), 7106)));
    }
  }
  const auto dropped = output_inside(world_->panal(),
                                     "nft list counter bridge panal bridge_many |"
                                     " grep -o 'packets [0-9]*' | cut -d' ' -f2");
  EXPECT_GT(std::atoi(dropped.c_str()), 200) << "of " << kMates * kEach;
}

TEST_F(BridgeRules, CutOffIsForEverybody) {
  begin();
  ASSERT_TRUE(world_->hears(2, 1, false));
  const auto cut = bridge_cut_off("panal_cut");
  ASSERT_TRUE(cut) << cut.error().message();
  commit(*cut);
  EXPECT_FALSE(world_->hears(2, 1, false));
  EXPECT_FALSE(world_->hears(2, 1, true));
}

}  // namespace
}  // namespace panal::netconfine
