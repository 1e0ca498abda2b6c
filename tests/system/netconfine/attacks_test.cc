// A hostile desktop has a raw socket and says what it likes. Nothing of it may arrive anywhere.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <unistd.h>

#include <map>

#include "tests/system/netconfine/frames.h"
#include "tests/system/netconfine/sandbox.h"

namespace panal::netconfine {
namespace {

using namespace testing;

const AddressPlan kPlan{"10.77.0.0/16", "fd77:70::/64"};
constexpr Mac kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr Mac kOtherMac = {0x02, 0xde, 0xad, 0xbe, 0xef, 0x01};
constexpr Mac kAllNodesMac = {0x33, 0x33, 0, 0, 0, 1};
constexpr Mac kNoMac = {};
constexpr std::uint16_t kIp4 = 0x0800, kIp6 = 0x86dd, kArp = 0x0806, kVlan = 0x8100;

struct Attack {
  std::string name;
  Bytes frame;
  /// Would arrive somewhere if there were no rules and forwarding were on: proof that the test
  /// would notice.
  bool arrives_without_rules = false;
};

// What desktop `me` sends against desktop `victim` and the host (which has `host4`, `host6`).
std::vector<Attack> attacks(const Addresses& me, const Addresses& victim, const Ipv4& host4,
                            const Ipv6& host6) {
  const Mac& to = me.gateway_mac;
  const auto l4 = [&](const Bytes& packet) { return ethernet(to, me.mac, kIp4, packet); };
  const auto l6 = [&](const Bytes& packet) { return ethernet(to, me.mac, kIp6, packet); };
  const auto loud4 = [&](const Bytes& packet) {
    return ethernet(kBroadcast, me.mac, kIp4, packet);
  };
  const auto loud6 = [&](const Bytes& packet) {
    return ethernet(kAllNodesMac, me.mac, kIp6, packet);
  };
  const auto arp_frame = [&](const Mac& l2_to, const Mac& l2_from, const Bytes& packet) {
    return ethernet(l2_to, l2_from, kArp, packet);
  };
  const Ipv4 gateway4 = ip4("169.254.1.1");
  const Ipv6 gateway6 = ip6("fe80::1");
  const Ipv6 my_local = ip6("fe80::70:ff:fe00:1");
  const Ipv6 all_nodes = ip6("ff02::1");
  const Ipv6 none6 = ip6("::");
  const Ipv4 outside4 = ip4("8.8.8.8");
  const Ipv6 outside6 = ip6("2001:4860:4860::8888");
  const Bytes target6(victim.ipv6.begin(), victim.ipv6.end());
  const Bytes my_target6(me.ipv6.begin(), me.ipv6.end());
  const Bytes source_mac_option = Bytes{1, 1} + bytes_of(me.mac);
  const Bytes target_mac_option = Bytes{2, 1} + bytes_of(me.mac);
  const Bytes prefix_option =
      Bytes{3,    4,    64, 0xc0, 0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0, 0, 0,
            0xfd, 0x66, 0,  0,    0, 0, 0,    0,    0, 0, 0,    0,    0, 0, 0, 0};
  const Bytes advertisement =
      Bytes{64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0} + prefix_option + source_mac_option;
  const Bytes zero4(4, 0);
  // A loose source route by way of the host to the victim (RFC 791), padded.
  const Bytes source_route =
      Bytes{131, 7, 4} + Bytes(victim.ipv4.begin(), victim.ipv4.end()) + Bytes{0};

  return {
      // Spoofed sources, IPv4.
      {"v4 as the victim, to the host", l4(udp4(victim.ipv4, host4))},
      {"v4 as the victim, to the victim", l4(udp4(victim.ipv4, victim.ipv4))},
      {"v4 as the victim, to a third", l4(udp4(victim.ipv4, ip4("10.77.0.3"))), true},
      {"v4 as nobody's address", l4(udp4(ip4("10.77.9.9"), victim.ipv4)), true},
      {"v4 as the network address", l4(udp4(ip4("10.77.0.0"), host4)), true},
      {"v4 as an outside address", l4(udp4(outside4, host4)), true},
      {"v4 as the host itself", l4(udp4(host4, victim.ipv4))},
      {"v4 as the gateway", l4(udp4(gateway4, host4))},
      {"v4 as loopback", l4(udp4(ip4("127.0.0.1"), host4))},
      {"v4 as 0.0.0.0", l4(udp4(ip4("0.0.0.0"), host4))},
      {"v4 as broadcast", l4(udp4(ip4("255.255.255.255"), host4))},
      {"v4 as multicast", l4(udp4(ip4("224.0.0.1"), host4))},
      {"DHCP discover", loud4(udp4(ip4("0.0.0.0"), ip4("255.255.255.255"), 67))},
      // Spoofed MAC.
      {"v4 with a stranger's MAC", ethernet(to, kOtherMac, kIp4, udp4(me.ipv4, host4)), true},
      {"v4 with the victim's MAC", ethernet(to, victim.mac, kIp4, udp4(me.ipv4, victim.ipv4)),
       true},
      {"v4 with victim's MAC and address",
       ethernet(to, victim.mac, kIp4, udp4(victim.ipv4, host4))},
      {"v4 with the gateway's MAC", ethernet(to, to, kIp4, udp4(me.ipv4, host4)), true},
      {"v4 with a broadcast MAC as source", ethernet(to, kBroadcast, kIp4, udp4(me.ipv4, host4)),
       true},
      {"v6 with a stranger's MAC", ethernet(to, kOtherMac, kIp6, udp6(me.ipv6, host6)), true},
      {"v6 with victim's MAC and address", ethernet(to, victim.mac, kIp6, udp6(victim.ipv6, host6)),
       true},
      // Own source, places it must not reach, IPv4.
      {"v4 to the victim", l4(udp4(me.ipv4, victim.ipv4)), true},
      {"v4 ping to the victim", l4(ping4(me.ipv4, victim.ipv4)), true},
      {"v4 to the host", l4(udp4(me.ipv4, host4)), true},
      {"v4 ping to the host", l4(ping4(me.ipv4, host4)), true},
      {"v4 to the gateway address", l4(udp4(me.ipv4, gateway4))},
      {"v4 to loopback", l4(udp4(me.ipv4, ip4("127.0.0.1")))},
      {"v4 to limited broadcast", loud4(udp4(me.ipv4, ip4("255.255.255.255"))), true},
      {"v4 to the prefix's broadcast", loud4(udp4(me.ipv4, ip4("10.77.255.255")))},
      {"v4 to all hosts multicast", loud4(udp4(me.ipv4, ip4("224.0.0.1")))},
      {"v4 unicast in a broadcast frame", loud4(udp4(me.ipv4, victim.ipv4))},
      {"v4 to outside", l4(udp4(me.ipv4, outside4))},
      {"v4 to itself through the host", l4(udp4(me.ipv4, me.ipv4))},
      {"v4 to the victim, ttl 1", l4(udp4(me.ipv4, victim.ipv4, kPort, {.ttl = 1})), true},
      {"v4 source routed", l4(udp4(me.ipv4, host4, kPort, {.options = source_route}))},
      {"v4 first fragment", l4(udp4(me.ipv4, victim.ipv4, kPort, {.fragment = 0x2000})), true},
      {"v4 later fragment", l4(udp4(me.ipv4, victim.ipv4, kPort, {.fragment = 0x0100})), true},
      {"v4 ESP", l4(udp4(me.ipv4, victim.ipv4, kPort, {.protocol = 50})), true},
      {"v4 IGMP", l4(udp4(me.ipv4, ip4("224.0.0.22"), kPort, {.protocol = 2}))},
      {"v4 with an unknown protocol", l4(udp4(me.ipv4, host4, kPort, {.protocol = 253}))},
      {"IPv6 in IPv4", l4(ipv4(me.ipv4, host4, udp6(me.ipv6, victim.ipv6), {.protocol = 41}))},
      {"IPv4 in IPv4", l4(ipv4(me.ipv4, host4, udp4(me.ipv4, victim.ipv4), {.protocol = 4}))},
      {"ICMP redirect",
       l4(ipv4(gateway4, me.ipv4, Bytes{5, 1, 0, 0, 10, 77, 0, 1}, {.protocol = 1}))},
      // Spoofed sources, IPv6.
      {"v6 as the victim, to the host", l6(udp6(victim.ipv6, host6)), true},
      {"v6 as the victim, to a third", l6(udp6(victim.ipv6, ip6("fd77:70::3"))), true},
      {"v6 as nobody's address", l6(udp6(ip6("fd77:70::999"), victim.ipv6)), true},
      {"v6 as the host itself", l6(udp6(host6, victim.ipv6))},
      {"v6 as ::", l6(udp6(none6, host6))},
      {"v6 as ::1", l6(udp6(ip6("::1"), host6))},
      {"v6 as multicast", l6(udp6(all_nodes, host6))},
      {"v6 as v4-mapped", l6(udp6(ip6("::ffff:10.77.0.1"), host6))},
      {"v6 link-local to the host", l6(udp6(my_local, host6)), true},
      {"v6 link-local to the gateway", l6(udp6(my_local, gateway6))},
      {"v6 link-local to the victim", l6(udp6(my_local, victim.ipv6))},
      {"v6 link-local to all nodes", loud6(udp6(my_local, all_nodes))},
      {"DHCPv6 solicit", loud6(udp6(my_local, ip6("ff02::1:2"), 547))},
      {"mDNS", loud6(udp6(my_local, ip6("ff02::fb"), 5353))},
      // Own source, places it must not reach, IPv6.
      {"v6 to the victim", l6(udp6(me.ipv6, victim.ipv6)), true},
      {"v6 ping to the victim", l6(icmp6(me.ipv6, victim.ipv6, 128, Bytes{0, 1, 0, 1})), true},
      {"v6 to the host", l6(udp6(me.ipv6, host6)), true},
      {"v6 ping to the host", l6(icmp6(me.ipv6, host6, 128, Bytes{0, 1, 0, 1})), true},
      {"v6 to the gateway", l6(udp6(me.ipv6, gateway6))},
      {"v6 to ::1", l6(udp6(me.ipv6, ip6("::1")))},
      {"v6 to all nodes", loud6(udp6(me.ipv6, all_nodes))},
      {"v6 to outside", l6(udp6(me.ipv6, outside6))},
      {"v6 hop-by-hop header to the victim",
       l6(ipv6(me.ipv6, victim.ipv6, 0, Bytes{17, 0, 1, 4, 0, 0, 0, 0} + Bytes(18, 0))), true},
      {"v6 routing header",
       l6(ipv6(me.ipv6, host6, 43, Bytes{17, 2, 0, 1, 0, 0, 0, 0} + target6 + Bytes(18, 0)))},
      {"v6 fragment",
       l6(ipv6(me.ipv6, victim.ipv6, 44, Bytes{17, 0, 0, 1, 0, 0, 0, 9} + Bytes(18, 0))), true},
      // Neighbour discovery.
      {"router advertisement", loud6(icmp6(my_local, all_nodes, 134, advertisement))},
      {"router advertisement, own source", loud6(icmp6(me.ipv6, all_nodes, 134, advertisement))},
      {"router advertisement as the gateway",
       loud6(icmp6(gateway6, all_nodes, 134, advertisement))},
      {"router advertisement after a hop-by-hop header",
       loud6(ipv6(me.ipv6, all_nodes, 0,
                  Bytes{58, 0, 1, 4, 0, 0, 0, 0} + Bytes{134, 0, 0, 0} + advertisement, 255))},
      {"router solicitation",
       loud6(icmp6(my_local, ip6("ff02::2"), 133, zero4 + source_mac_option))},
      {"neighbour solicitation for the host",
       loud6(icmp6(me.ipv6, host6, 135,
                   zero4 + Bytes(host6.begin(), host6.end()) + source_mac_option)),
       false},
      {"neighbour solicitation for the victim",
       loud6(icmp6(me.ipv6, all_nodes, 135, zero4 + target6 + source_mac_option))},
      {"duplicate address probe for the victim",
       loud6(icmp6(none6, all_nodes, 135, zero4 + target6))},
      {"neighbour advertisement of the victim's address",
       l6(icmp6(me.ipv6, host6, 136, Bytes{0xa0, 0, 0, 0} + target6 + target_mac_option))},
      {"neighbour advertisement of its own, new MAC",
       loud6(icmp6(me.ipv6, all_nodes, 136,
                   Bytes{0x20, 0, 0, 0} + my_target6 + Bytes{2, 1} + bytes_of(kOtherMac)))},
      {"redirect", l6(icmp6(gateway6, host6, 137, zero4 + target6 + my_target6))},
      {"multicast listener report", loud6(icmp6(me.ipv6, ip6("ff02::16"), 143, zero4))},
      {"multicast listener query", loud6(icmp6(my_local, all_nodes, 130, zero4 + Bytes(16, 0)))},
      // ARP.
      {"ARP request for the victim",
       arp_frame(kBroadcast, me.mac, arp(1, me.mac, me.ipv4, kNoMac, victim.ipv4))},
      {"ARP request for the host",
       arp_frame(kBroadcast, me.mac, arp(1, me.mac, me.ipv4, kNoMac, host4))},
      {"ARP request for the gateway",
       arp_frame(kBroadcast, me.mac, arp(1, me.mac, me.ipv4, kNoMac, gateway4))},
      {"ARP probe",
       arp_frame(kBroadcast, me.mac, arp(1, me.mac, ip4("0.0.0.0"), kNoMac, victim.ipv4))},
      {"ARP gratuitous, own address",
       arp_frame(kBroadcast, me.mac, arp(1, me.mac, me.ipv4, kNoMac, me.ipv4))},
      {"ARP gratuitous, victim's address",
       arp_frame(kBroadcast, me.mac, arp(2, me.mac, victim.ipv4, kBroadcast, victim.ipv4))},
      {"ARP reply as the victim", arp_frame(to, me.mac, arp(2, me.mac, victim.ipv4, to, host4))},
      {"ARP reply with a stranger's MAC",
       arp_frame(to, me.mac, arp(2, kOtherMac, me.ipv4, to, host4))},
      {"ARP from a stranger's MAC",
       arp_frame(to, kOtherMac, arp(2, kOtherMac, me.ipv4, to, host4))},
      {"RARP", ethernet(kBroadcast, me.mac, 0x8035, arp(3, me.mac, me.ipv4, me.mac, me.ipv4))},
      // Other frames.
      {"VLAN 5, v4 to the victim",
       ethernet(to, me.mac, kVlan, Bytes{0, 5, 8, 0} + udp4(me.ipv4, victim.ipv4))},
      {"VLAN 0, v4 to the victim",
       ethernet(to, me.mac, kVlan, Bytes{0, 0, 8, 0} + udp4(me.ipv4, victim.ipv4)), true},
      {"VLAN 0, v4 as the victim",
       ethernet(to, me.mac, kVlan, Bytes{0, 0, 8, 0} + udp4(victim.ipv4, host4))},
      {"VLAN 0, v6 as the victim",
       ethernet(to, me.mac, kVlan, Bytes{0, 0, 0x86, 0xdd} + udp6(victim.ipv6, host6)), true},
      {"VLAN 0, ARP", ethernet(kBroadcast, me.mac, kVlan,
                               Bytes{0, 0, 8, 6} + arp(2, me.mac, victim.ipv4, to, host4))},
      {"two VLAN tags",
       ethernet(to, me.mac, 0x88a8, Bytes{0, 0, 0x81, 0, 0, 0, 8, 0} + udp4(victim.ipv4, host4))},
      {"unknown type", ethernet(kBroadcast, me.mac, 0x88b5, Bytes(46, 1))},
      {"LLDP", ethernet(Mac{1, 0x80, 0xc2, 0, 0, 0x0e}, me.mac, 0x88cc, Bytes(46, 0))},
      {"spanning tree",
       ethernet(Mac{1, 0x80, 0xc2, 0, 0, 0}, me.mac, 38, Bytes{0x42, 0x42, 3} + Bytes(35, 0))},
      {"PPPoE discovery",
       ethernet(kBroadcast, me.mac, 0x8863, Bytes{0x11, 9, 0, 0, 0, 0} + Bytes(40, 0))},
      {"MPLS", ethernet(to, me.mac, 0x8847, Bytes{0, 0, 0x11, 64} + udp4(me.ipv4, victim.ipv4))},
      {"v4 said to be v6", ethernet(to, me.mac, kIp6, udp4(me.ipv4, victim.ipv4))},
      {"v6 said to be v4", ethernet(to, me.mac, kIp4, udp6(me.ipv6, victim.ipv6))},
      {"cut v4 header", ethernet(to, me.mac, kIp4, Bytes{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17})},
      {"cut v6 header", ethernet(to, me.mac, kIp6, Bytes{0x60, 0, 0, 0, 0, 0, 17, 64, 0xfd, 0x77})},
      {"to a MAC that is not the gateway's",
       ethernet(kOtherMac, me.mac, kIp4, udp4(me.ipv4, victim.ipv4))},
      {"straight to the victim's MAC",
       ethernet(victim.mac, me.mac, kIp4, udp4(me.ipv4, victim.ipv4))},
  };
}

class Attacks : public ::testing::Test {
 protected:
  void SetUp() override {
    // One core: what one thread sends on a veth is then received in the order it was sent.
    cpu_set_t one;
    ASSERT_EQ(sched_getaffinity(0, sizeof(before_), &before_), 0);
    CPU_ZERO(&one);
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &before_)) {
        CPU_SET(cpu, &one);
        break;
      }
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);

    auto network = Network::open(*panal_.duplicate(), kPlan, Logger::silent());
    ASSERT_TRUE(network) << network.error().message();
    network_ = std::move(*network);
    // Addresses for the host to be attacked at; in life it has none but loopback's.
    ASSERT_EQ(shell_inside(panal_,
                           "ip link set lo up && ip address add 10.99.0.1/32 dev lo && "
                           "ip address add fd99::1/128 dev lo"),
              0);
    const auto pool = AddressPool::parse(kPlan.subnet4, kPlan.subnet6);
    ASSERT_TRUE(pool);
    for (DesktopId id = 1; id <= 3; ++id) {
      addresses_.push_back(*pool->of(id));
      inside_.push_back(desktops_[static_cast<std::size_t>(id - 1)].network());
      const auto link = network_->attach(id, inside_.back());
      ASSERT_TRUE(link) << link.error().message();
      testing::await_link(panal_, link->name, inside_.back());
    }
    for (const auto& inside : inside_) taps_.emplace_back(inside, "eth0");
    ears_.emplace_back(panal_, AF_INET, kPort);
    ears_.emplace_back(panal_, AF_INET6, kPort);
    for (std::size_t i = 0; i < inside_.size(); ++i) {
      inner_ears_.emplace_back(inside_[i], AF_INET, kPort);
      inner_ears_.emplace_back(inside_[i], AF_INET6, kPort);
    }
    (void)arrived();
  }
  void TearDown() override { sched_setaffinity(0, sizeof(before_), &before_); }

  std::vector<Attack> all() {
    return attacks(addresses_[0], addresses_[1], ip4("10.99.0.1"), ip6("fd99::1"));
  }

  void forwarding(bool on) {
    const std::string value = on ? "1" : "0";
    ASSERT_EQ(shell_inside(panal_, "sysctl -qw net.ipv4.ip_forward=" + value +
                                       " net.ipv6.conf.all.forwarding=" + value),
              0);
  }

  std::uint64_t dropped(const std::string& reason) {
    const auto counters = network_->drops();
    EXPECT_TRUE(counters) << counters.error().message();
    for (const auto& counter : *counters) {
      if (counter.reason == reason) return counter.packets;
    }
    ADD_FAILURE() << "no counter " << reason;
    return 0;
  }

  // Waits until everything sent so far has been dealt with: a last packet that is counted.
  void fence() {
    const auto before = dropped("to_host");
    taps_[0].send(ethernet(addresses_[0].gateway_mac, addresses_[0].mac, kIp4,
                           udp4(addresses_[0].ipv4, ip4("10.99.0.1"), 9)));
    for (int i = 0; i < 400 && dropped("to_host") == before; ++i) usleep(5000);
    EXPECT_GT(dropped("to_host"), before) << "the fence did not come through";
  }

  // Where anything has come in since the last call; "" for nowhere.
  std::string arrived() {
    std::string where;
    for (std::size_t i = 0; i < taps_.size(); ++i) {
      for (const auto& frame : taps_[i].received()) {
        where += "desktop " + std::to_string(i + 1) + " got " + frame + "\n";
      }
    }
    for (auto& ear : ears_) {
      if (ear.heard() != 0) where += "the host heard a datagram\n";
    }
    for (auto& ear : inner_ears_) (void)ear.heard();
    return where;
  }

  std::string neighbours() {
    std::string all;
    for (const auto& inside : inside_) all += output_inside(inside, "ip neigh | sort") + "--\n";
    return all + output_inside(panal_, "ip neigh | sort; ip route; ip -6 route");
  }

  void nothing_arrives() {
    const auto learnt_before = neighbours();
    for (const auto& attack : all()) {
      taps_[0].send(attack.frame);
      fence();
      EXPECT_EQ(arrived(), "") << "attack: " << attack.name;
    }
    EXPECT_EQ(neighbours(), learnt_before) << "something was learnt";
  }

  cpu_set_t before_{};
  UniqueFd panal_ = new_network_namespace();
  std::unique_ptr<Network> network_;
  FakeDesktop desktops_[3];
  std::vector<Addresses> addresses_;
  std::vector<UniqueFd> inside_;
  std::vector<Tap> taps_;
  std::vector<UdpEar> ears_;
  std::vector<UdpEar> inner_ears_;
};

TEST_F(Attacks, NothingArrivesAsConfigured) {
  nothing_arrives();
  EXPECT_GT(dropped("spoofed_ipv4"), 0U);
  EXPECT_GT(dropped("spoofed_ipv6"), 0U);
  EXPECT_GT(dropped("link_local"), 0U);
  EXPECT_GT(dropped("neighbour_discovery"), 0U);
}

TEST_F(Attacks, NothingArrivesByTheRulesAlone) {
  // The second wall must hold without the first: forwarding on, ARP answered, source routes taken.
  forwarding(true);
  ASSERT_EQ(
      shell_inside(panal_,
                   "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.all.arp_ignore=0 && "
                   "for link in pnl1 pnl2 pnl3; do ip link set $link arp on; "
                   "sysctl -qw net.ipv4.conf.$link.rp_filter=0 net.ipv4.conf.$link.arp_ignore=0 "
                   "net.ipv4.conf.$link.accept_source_route=1; done"),
      0);
  nothing_arrives();
  EXPECT_GT(dropped("to_desktop"), 0U);
  EXPECT_GT(dropped("arp_in"), 0U);
}

TEST_F(Attacks, NothingArrivesBySysctlsAndRoutesAloneFromAnotherDesktop) {
  // The first wall without the second: desktops cannot reach each other although no rule is there.
  ASSERT_EQ(shell_inside(panal_, "nft delete table inet panal; nft delete table arp panal"), 0);
  for (const auto& attack : all()) taps_[0].send(attack.frame);
  usleep(200'000);
  EXPECT_TRUE(taps_[1].received().empty());
  EXPECT_TRUE(taps_[2].received().empty());
}

TEST_F(Attacks, TheTestWouldNoticeWithoutRules) {
  ASSERT_EQ(shell_inside(panal_,
                         "nft delete table inet panal; nft delete table arp panal; "
                         "sysctl -qw net.ipv4.conf.all.rp_filter=0; "
                         "for link in pnl1 pnl2 pnl3; do "
                         "sysctl -qw net.ipv4.conf.$link.rp_filter=0; done"),
            0);
  forwarding(true);
  (void)arrived();
  for (const auto& attack : all()) {
    if (!attack.arrives_without_rules) continue;
    taps_[0].send(attack.frame);
    std::string where;
    for (int i = 0; i < 100 && where.empty(); ++i) {
      usleep(2000);
      where = arrived();
    }
    EXPECT_NE(where, "") << "not noticed: " << attack.name;
    usleep(2000);
    (void)arrived();
  }
}

TEST_F(Attacks, TheWayIsThereForWhoIsAllowed) {
  // Links, routes and neighbours do carry traffic once a rule lets it: nothing is broken by luck.
  forwarding(true);
  ASSERT_EQ(shell_inside(panal_, "nft insert rule inet panal forward accept"), 0);
  for (const char* address : {"10.77.0.2", "fd77:70::2"}) {
    EXPECT_TRUE(say(inside_[0], address, kPort)) << address;
    int heard = 0;
    for (int i = 0; i < 400 && heard == 0; ++i) {
      usleep(5000);
      heard = inner_ears_[2].heard() + inner_ears_[3].heard();
    }
    EXPECT_EQ(heard, 1) << address;
  }
  // And still nobody can pretend to be another.
  (void)arrived();
  taps_[0].send(ethernet(addresses_[0].gateway_mac, addresses_[0].mac, kIp4,
                         udp4(addresses_[2].ipv4, addresses_[1].ipv4)));
  taps_[0].send(ethernet(addresses_[0].gateway_mac, addresses_[0].mac, kIp6,
                         udp6(addresses_[2].ipv6, addresses_[1].ipv6)));
  fence();
  EXPECT_EQ(arrived(), "");
}

TEST_F(Attacks, RootInsideGainsNothingByChangingItsOwnEnd) {
  ASSERT_EQ(shell_inside(inside_[0],
                         "ip link set eth0 down && ip link set eth0 address 02:70:00:00:00:02 && "
                         "ip link set eth0 up && ip address flush dev eth0 && "
                         "ip address add 10.77.0.2/16 dev eth0 && "
                         "ip address add fd77:70::2/64 dev eth0 nodad && "
                         "ip neigh replace 10.99.0.1 lladdr 06:70:00:00:00:01 dev eth0 && "
                         "ip route replace default via 169.254.1.1 dev eth0 onlink && "
                         "ip neigh replace 169.254.1.1 lladdr 06:70:00:00:00:01 dev eth0"),
            0);
  forwarding(true);
  (void)arrived();
  const auto before = dropped("spoofed_ipv4");
  EXPECT_TRUE(say(inside_[0], "10.99.0.1", kPort));
  EXPECT_TRUE(say(inside_[0], "8.8.8.8", kPort));
  for (int i = 0; i < 400 && dropped("spoofed_ipv4") < before + 2; ++i) usleep(5000);
  EXPECT_EQ(dropped("spoofed_ipv4"), before + 2);
  for (auto& ear : ears_) EXPECT_EQ(ear.heard(), 0);
  EXPECT_TRUE(taps_[1].received().empty());
  EXPECT_TRUE(taps_[2].received().empty());
}

TEST_F(Attacks, TheHostSpeaksToNoDesktop) {
  const auto before = dropped("from_host");
  EXPECT_FALSE(say(panal_, "10.77.0.2", kPort));
  EXPECT_FALSE(say(panal_, "fd77:70::2", kPort));
  EXPECT_GT(dropped("from_host"), before);
  EXPECT_EQ(arrived(), "");
}

}  // namespace
}  // namespace panal::netconfine
