// The iptables backend in the real kernel, in both variants of iptables: packets fare as explain()
// says.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <random>

#include "tests/system/netconfine/frames.h"
#include "tests/system/netconfine/iptables/backend_fixture.h"

namespace panal::netconfine {
namespace {

using namespace testing;

TEST_P(IptablesBackend, PacketsFareAsExplained) {
  add_desktops(7);
  load(everybody());
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same flows each time
  const auto pick = [&](std::size_t count) { return random() % count; };
  constexpr std::uint16_t kPorts[] = {53, 80, 443, 8000, 8005, 8010, 8011};
  struct End {
    const UniqueFd* network;
    const Sender* desktop;
    std::string address;
  };
  int allowed = 0;
  constexpr int kFlows = 400;
  for (int i = 0; i < kFlows; ++i) {
    const bool v6 = pick(2) == 1;
    const auto end = [&](bool outside) -> End {
      if (outside)
        return {&world_.outside(), nullptr,
                v6 ? PlainWorld::kOutside6[pick(6)] : PlainWorld::kOutside4[pick(6)]};
      const Sender& one = senders_.at(static_cast<DesktopId>(pick(7) + 1));
      return {&world_.desktop(id_of_link(one.addresses.link)), &one,
              v6 ? to_string(one.addresses.ipv6) : to_string(one.addresses.ipv4)};
    };
    const auto kind = pick(4);  // desktops among themselves, to outside (often), from outside
    const End from = end(kind == 3);
    const End to = end(kind == 1 || kind == 2);
    if (from.desktop != nullptr && from.desktop == to.desktop) continue;
    Flow flow;
    flow.v6 = v6;
    flow.protocol = std::array{Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}[pick(3)];
    flow.port = flow.protocol == Protocol::kIcmp ? std::uint16_t{0} : kPorts[pick(7)];
    if (v6) {
      flow.from6 = ip6(from.address);
      flow.to6 = ip6(to.address);
    } else {
      flow.from4 = ip4(from.address);
      flow.to4 = ip4(to.address);
    }
    const auto meant = explain(rules_, from.desktop, to.desktop, flow);
    EXPECT_EQ(
        arrives(*from.network, from.address, *to.network, to.address, flow.protocol, flow.port),
        meant.allowed)
        << from.address << " -> " << to.address << " protocol " << static_cast<int>(flow.protocol)
        << " port " << flow.port << ": " << meant.rule;
    if (meant.allowed) ++allowed;
  }
  EXPECT_GT(allowed, kFlows / 20);
}

TEST_P(IptablesBackend, AnswersComeBackAndNothingElse) {
  add_desktops(1);
  load(everybody());
  for (const auto& [own, server] :
       {std::pair{to_string(PlainWorld::addresses(1).ipv4), "10.1.0.1"},
        std::pair{to_string(PlainWorld::addresses(1).ipv6), "fd01::1"}}) {
    Conversation dns(world_.desktop(1), own, world_.outside(), server, 53);
    ASSERT_TRUE(dns.ask());
    EXPECT_TRUE(dns.answer());
    EXPECT_FALSE(arrives(world_.outside(), server, world_.desktop(1), own, Protocol::kUdp, 53));
  }
}

TEST_P(IptablesBackend, ConnectionsEndWithWhatAllowedThem) {
  add_desktops(4);
  load(everybody());
  const auto own = [](DesktopId desktop) { return to_string(PlainWorld::addresses(desktop).ipv4); };
  Conversation stays(world_.desktop(2), own(2), world_.outside(), "10.1.0.1", 53);
  Conversation changes(world_.desktop(1), to_string(PlainWorld::addresses(1).ipv6),
                       world_.outside(), "fd01::1", 53);
  Conversation mates(world_.desktop(1), own(1), world_.desktop(3), own(3), 7000);
  Conversation goes(world_.desktop(4), own(4), world_.outside(), "8.8.8.8", 53);
  for (auto* one : {&stays, &changes, &mates, &goes}) {
    ASSERT_TRUE(one->ask());
    ASSERT_TRUE(one->answer());
  }
  ASSERT_TRUE(backend_->put(std::vector{sender(1, id("lonely"))}));
  EXPECT_FALSE(changes.answer());
  EXPECT_FALSE(changes.ask());
  EXPECT_FALSE(mates.answer());
  ASSERT_TRUE(backend_->remove(std::vector{PlainWorld::addresses(4)}));
  EXPECT_FALSE(goes.answer());
  EXPECT_TRUE(stays.answer());
  // Other rules: what they allow as well goes on, without a packet from the client.
  auto set = PlainWorld::policies();
  set.policies["office"].reach = {"ping"};
  rules_ = *compile(set, {.uplink = PlainWorld::kUplink,
                          .masquerade = false,
                          .desktops = {},
                          .uses = {{"office", "t1"}, {"pupil", "t1"}}});
  load({sender(2, id("office", "t1")), sender(3, id("pupil", "t1"))});
  EXPECT_FALSE(stays.answer());
  EXPECT_FALSE(stays.ask());
}

TEST_P(IptablesBackend, AllowedConnectionsOutliveALoad) {
  add_desktops(1);
  load(everybody());
  Conversation dns(world_.desktop(1), to_string(PlainWorld::addresses(1).ipv4), world_.outside(),
                   "10.1.0.1", 53);
  ASSERT_TRUE(dns.ask());
  load(everybody());
  EXPECT_TRUE(dns.answer());
  EXPECT_EQ(dropped("invalid"), 0U);
}

TEST_P(IptablesBackend, BehindTheUplinksAddress) {
  add_desktops(5);
  rules_ = PlainWorld::rules(true);
  load(everybody());
  // The way to the desktops is not known outside: answers find them nevertheless.
  ASSERT_EQ(
      shell_inside(world_.outside(), "ip route del 10.77.0.0/16 && ip -6 route del fd77:70::/64"),
      0);
  EXPECT_TRUE(to_outside(4, "8.8.8.8", Protocol::kIcmp, 0));
  EXPECT_TRUE(to_outside(4, "2a00::8", Protocol::kIcmp, 0));
  EXPECT_FALSE(to_outside(5, "8.8.8.8", Protocol::kIcmp, 0));
}

TEST_P(IptablesBackend, LimitsHold) {
  add_desktops(2);
  for (auto& policy : rules_.policies) policy.limits.connections = 3;
  load(everybody());
  int passed = 0;
  for (std::uint16_t i = 0; i < 10; ++i)  // each from a port of its own
    if (to_outside(1, "10.1.0.1", Protocol::kUdp, 53)) ++passed;
  EXPECT_EQ(passed, 3);
  EXPECT_EQ(dropped("over_connections"), 7U);
  EXPECT_TRUE(to_outside(2, "10.1.0.1", Protocol::kUdp, 53)) << "one's limit is another's";

  for (auto& policy : rules_.policies) policy.limits = {.new_connections_per_second = 2};
  load(everybody());
  passed = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i)
    if (to_outside(1, "10.1.0.1", Protocol::kUdp, 53)) ++passed;
  const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin);
  EXPECT_GE(passed, 2);
  EXPECT_LE(passed, 2 + static_cast<int>(seconds.count() * 2) + 1);
  EXPECT_EQ(dropped("over_rate"), static_cast<std::uint64_t>(10 - passed));
}

TEST_P(IptablesBackend, ForgedPacketsArriveNowhere) {
  add_desktops(4);
  load(everybody());
  const Addresses me = PlainWorld::addresses(4), mate = PlainWorld::addresses(2);
  constexpr std::uint16_t kIp4 = 0x0800, kIp6 = 0x86dd;
  const auto l4 = [&](const Bytes& packet) {
    return ethernet(me.gateway_mac, me.mac, kIp4, packet);
  };
  const auto l6 = [&](const Bytes& packet) {
    return ethernet(me.gateway_mac, me.mac, kIp6, packet);
  };
  const Ipv4 out4 = ip4("8.8.8.8");
  const Ipv6 out6 = ip6("2a00::8");
  const auto with_header = [&](std::uint8_t next) {
    const Bytes inner = udp6(me.ipv6, out6);
    const Bytes datagram(inner.begin() + 40, inner.end());
    return l6(ipv6(me.ipv6, out6, next, Bytes{17, 0, 1, 4, 0, 0, 0, 0} + datagram));
  };
  const Mac other = {2, 2, 2, 2, 2, 2};
  struct Forged {
    const char* name;
    Bytes frame;
    const char* reason;  ///< nullptr: the kernel itself drops it
  };
  const std::vector<Forged> forged = {
      {"v4 as a mate", l4(udp4(mate.ipv4, out4)), "spoofed_ipv4"},
      {"v4 as an outside address", l4(udp4(ip4("10.1.0.1"), out4)), "spoofed_ipv4"},
      {"v4 as nobody", l4(udp4(ip4("10.77.9.9"), out4)), "spoofed_ipv4"},
      {"v4 with another MAC", ethernet(me.gateway_mac, other, kIp4, udp4(me.ipv4, out4)),
       "spoofed_ipv4"},
      {"v4 with a mate's MAC and address",
       ethernet(me.gateway_mac, mate.mac, kIp4, udp4(mate.ipv4, out4)), "spoofed_ipv4"},
      {"v4 with options",
       l4(udp4(me.ipv4, out4, kPort, {.options = Bytes{7, 7, 4, 0, 0, 0, 0, 0}})),
       "header_options"},
      {"v4 first fragment", l4(udp4(me.ipv4, out4, kPort, {.fragment = 0x2000})), nullptr},
      {"v4 later fragment", l4(udp4(me.ipv4, out4, kPort, {.fragment = 2})), nullptr},
      {"v4 ICMP redirect",
       l4(ipv4(me.ipv4, out4, Bytes{5, 1, 0xfa, 0xfe, 0, 0, 0, 0}, {.protocol = 1})), nullptr},
      {"v6 as a mate", l6(udp6(mate.ipv6, out6)), "spoofed_ipv6"},
      {"v6 as an outside address", l6(udp6(ip6("fd01::1"), out6)), "spoofed_ipv6"},
      {"v6 with another MAC", ethernet(me.gateway_mac, other, kIp6, udp6(me.ipv6, out6)),
       "spoofed_ipv6"},
      {"v6 link-local", l6(udp6(ip6("fe80::1"), out6)), "link_local"},
      {"v6 hop-by-hop", with_header(0), "header_options"},
      {"v6 routing header", with_header(43), "header_options"},
      {"v6 destination options", with_header(60), "header_options"},
      {"v6 authentication header", with_header(51), "header_options"},
      {"v6 mobility header", with_header(135), "header_options"},
      {"v6 shim6", with_header(140), "header_options"},
      {"v6 experiment", with_header(253), "header_options"},
      {"v6 fragment", l6(ipv6(me.ipv6, out6, 44, Bytes{17, 0, 0, 1, 0, 0, 0, 1} + Bytes(16, 7))),
       nullptr},
      {"v6 neighbour solicitation",
       l6(icmp6(me.ipv6, out6, 135, Bytes(4, 0) + Bytes(mate.ipv6.begin(), mate.ipv6.end()))),
       "neighbour_discovery"},
      {"v6 redirect", l6(icmp6(me.ipv6, out6, 137, Bytes(36, 0))), "neighbour_discovery"},
      {"v6 to a v4-mapped address", l6(udp6(me.ipv6, ip6("::ffff:8.8.8.8"))), nullptr},
      {"v4 to a mate of others", l4(udp4(me.ipv4, mate.ipv4)), "to_desktop"},
      {"v6 to a mate of others", l6(udp6(me.ipv6, mate.ipv6)), "to_desktop"},
      {"v4 to Panal's own address", l4(udp4(me.ipv4, ip4("192.0.2.2"))), "to_host"},
      {"v6 to Panal's own address", l6(udp6(me.ipv6, ip6("2001:db8::2"))), "to_host"},
  };
  Tap mouth(world_.desktop(4), "eth0");
  Tap outside(world_.outside(), "out0"), mates(world_.desktop(2), "eth0");
  // What the kernels of both sides ask for themselves is out of the way first.
  ASSERT_TRUE(to_outside(4, "8.8.8.8", Protocol::kUdp, 80));
  ASSERT_TRUE(to_outside(4, "2a00::8", Protocol::kUdp, 80));
  (void)outside.received();
  (void)mates.received();
  for (const auto& [name, frame, reason] : forged) {
    const auto before = reason == nullptr ? 0 : dropped(reason);
    mouth.send(frame);
    EXPECT_TRUE(outside.received().empty()) << name;
    EXPECT_TRUE(mates.received().empty()) << name;
    if (reason != nullptr) {
      // Or more: the outside's kernel says something of its own now and then.
      EXPECT_GT(dropped(reason), before) << name << ": " << reason;
    }
  }
  mouth.send(l4(udp4(me.ipv4, out4)));
  EXPECT_EQ(outside.received().size(), 1U) << "an honest packet does not pass: the test is blind";
  mouth.send(l6(udp6(me.ipv6, out6)));
  // Or more: the outside's kernel answers that nobody listens.
  EXPECT_GE(outside.received().size(), 1U);
}

TEST_P(IptablesBackend, OutsideCannotPassForADesktop) {
  add_desktops(3);
  load(everybody());
  const auto one = PlainWorld::addresses(1), three = PlainWorld::addresses(3);
  ASSERT_EQ(shell_inside(world_.outside(),
                         "ip addr add 10.77.0.3/32 dev out0 && "
                         "ip addr add fd77:70::3/128 dev out0 nodad"),
            0);
  const auto from = [&](const std::string& source, bool v6) {
    return arrives(world_.outside(), source, world_.desktop(1),
                   v6 ? to_string(one.ipv6) : to_string(one.ipv4), Protocol::kUdp, 7000);
  };
  // The honest first: the outside's kernel asks for its neighbour in the sender's name.
  EXPECT_TRUE(from("10.9.0.9", false));
  EXPECT_TRUE(from("fd09::9", true));
  EXPECT_FALSE(from(to_string(three.ipv4), false));
  EXPECT_FALSE(from(to_string(three.ipv6), true));
}

TEST_P(IptablesBackend, CutOffIsClosed) {
  add_desktops(3);
  load(everybody());
  Conversation dns(world_.desktop(1), to_string(PlainWorld::addresses(1).ipv4), world_.outside(),
                   "10.1.0.1", 53);
  ASSERT_TRUE(dns.ask());
  const auto cut = backend_->cut_off();
  ASSERT_TRUE(cut) << cut.error().message();
  EXPECT_FALSE(dns.answer());
  EXPECT_FALSE(dns.ask());
  EXPECT_FALSE(to_outside(1, "fd01::1", Protocol::kUdp, 53));
  EXPECT_NE(drift(), "");
  load(everybody());
  EXPECT_TRUE(dns.ask());
}

}  // namespace
}  // namespace panal::netconfine
