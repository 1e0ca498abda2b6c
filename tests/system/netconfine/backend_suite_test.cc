// What every backend must do with packets. explain() says what is right.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <random>
#include <set>

#include "netconfine/log/packet_log.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/probe/packet.h"
#include "tests/system/netconfine/world.h"

namespace panal::netconfine {
namespace {

using namespace testing;

class Backend : public ::testing::TestWithParam<BackendUnderTest> {
 protected:
  // UDP from `from` to `to` in the words of the tests.
  static Bytes udp(const std::string& from, const std::string& to, std::uint16_t port,
                   std::uint16_t from_port = 40000) {
    Bytes packet = from.find(':') == std::string::npos ? udp4(ip4(from), ip4(to), port)
                                                       : udp6(ip6(from), ip6(to), port);
    if (from_port != 40000) {
      // The checksum of IPv4's is 0: none is wanted.
      const std::size_t at = 20;
      packet[at] = static_cast<std::uint8_t>(from_port >> 8);
      packet[at + 1] = static_cast<std::uint8_t>(from_port);
    }
    return packet;
  }
};

INSTANTIATE_TEST_SUITE_P(All, Backend, ::testing::ValuesIn(backends()),
                         [](const auto& test) { return test.param.name; });

Prefix random_prefix(std::mt19937& random) {
  static const std::vector<std::string> kAll = {"10.0.0.0/8",
                                                "10.1.0.0/16",
                                                "10.1.2.0/24",
                                                "10.1.2.3",
                                                "10.64.0.0/10",
                                                "172.16.0.0/12",
                                                "8.8.8.8",
                                                "0.0.0.0/0",
                                                "198.51.100.0/25",
                                                "198.51.100.7",
                                                "2001:db8:1::/48",
                                                "2001:db8:1:2::/64",
                                                "2001:db8:1:2::5",
                                                "fd00:1::/32",
                                                "::/0",
                                                "2001:db8:1:2::4/126"};
  return *parse_prefix(kAll[random() % kAll.size()]);
}

Traffic random_traffic(std::mt19937& random) {
  static const std::vector<PortRange> kRanges = {{53, 53}, {80, 443}, {0, 0xffff}, {1024, 2047}};
  const auto protocol = static_cast<Protocol>(random() % 4);
  if (protocol == Protocol::kAny || protocol == Protocol::kIcmp) return {protocol, {}};
  return {protocol, kRanges[random() % kRanges.size()]};
}

PolicySet random_policies(std::mt19937& random) {
  PolicySet set;
  for (int i = 0; i < 6; ++i) {
    Service service;
    service.name = "s" + std::to_string(i);
    for (auto n = 1 + random() % 3; n > 0; --n) service.peers.push_back(random_prefix(random));
    for (auto n = random() % 3; n > 0; --n) service.traffic.push_back(random_traffic(random));
    for (auto n = random() % 3; n > 0; --n) {
      const Prefix part = random_prefix(random);
      // One that takes everything away would be a mistake, which compile() tells.
      const bool takes_all = std::any_of(service.peers.begin(), service.peers.end(),
                                         [&](const Prefix& peer) { return contains(part, peer); });
      if (!takes_all) service.except.push_back(part);
    }
    set.services[service.name] = service;
  }
  for (int i = 0; i < 4; ++i) {
    const std::string name = "p" + std::to_string(i);
    NetPolicy made = policy(name, {}, {}, i < 2 ? "" : "g" + std::to_string(random() % 2));
    for (const auto& [service, unused] : set.services) {
      if (random() % 3 == 0) made.reach.push_back(service);
      if (random() % 4 == 0) made.reached_by.push_back(service);
    }
    set.policies[name] = made;
  }
  return set;
}

// The first, the last, or some address of a prefix, or the one before or behind it.
Prefix near(const Prefix& prefix, std::mt19937& random) {
  Prefix address = prefix;
  const std::size_t bits = prefix.v6 ? 128 : 32;
  const auto kind = random() % 5;
  for (std::size_t bit = prefix.length; bit < bits; ++bit) {
    const bool one = kind == 0 || kind == 3 ? false : kind == 1 || kind == 4 ? true : random() % 2;
    if (one) {
      address.bytes[bit / 8] = static_cast<std::uint8_t>(address.bytes[bit / 8] | 0x80U >> bit % 8);
    }
  }
  if (kind >= 3) {  // one past either end
    for (std::size_t i = bits / 8; i-- > 0;) {
      address.bytes[i] = static_cast<std::uint8_t>(address.bytes[i] + (kind == 3 ? 0xff : 1));
      if (address.bytes[i] != (kind == 3 ? 0xff : 0)) break;
    }
  }
  address.length = static_cast<std::uint8_t>(bits);
  return address;
}

struct Sent {
  DesktopId from = 0, to = 0;  // 0: outside
  Flow flow;
  std::uint32_t token = 0;
  Explanation right;
};

void put_address(Flow& flow, bool source, const Prefix& address) {
  if (flow.v6) {
    std::copy_n(address.bytes.begin(), 16, (source ? flow.from6 : flow.to6).begin());
  } else {
    std::copy_n(address.bytes.begin(), 4, (source ? flow.from4 : flow.to4).begin());
  }
}

Prefix address_of(const Addresses& addresses, bool v6) {
  return v6 ? prefix_of(addresses.ipv6) : prefix_of(addresses.ipv4);
}

// What the kernel itself does not pass on, whoever allows it, is no question to rules.
bool travels(const Prefix& address) {
  static const auto kNever = never_reached();
  static const std::vector<Prefix> kNodes = {*parse_prefix("192.0.2.0/24"),
                                             *parse_prefix("2001:db8:77::/64")};
  return covering(kNever, address) == nullptr && covering(kNodes, address) == nullptr;
}

Sent random_flow(std::mt19937& random, DesktopId desktops, const World& world) {
  Sent sent;
  sent.from = static_cast<DesktopId>(random() % static_cast<unsigned>(desktops + 1));
  sent.to = static_cast<DesktopId>(random() % static_cast<unsigned>(desktops + 1));
  sent.flow.v6 = random() % 2 == 0;
  sent.flow.protocol = static_cast<Protocol>(random() % 4);
  static const std::vector<std::uint16_t> kPorts = {52, 53, 54, 79, 80, 443, 444, 1024, 2047, 2048};
  sent.flow.port = kPorts[random() % kPorts.size()];
  for (const bool source : {true, false}) {
    const DesktopId id = source ? sent.from : sent.to;
    Prefix address;
    if (id != 0) {
      address = address_of(world.addresses(id), sent.flow.v6);
    } else {
      do {
        address = near(random_prefix(random), random);
      } while (address.v6 != sent.flow.v6 || !travels(address));
    }
    put_address(sent.flow, source, address);
  }
  sent.token = static_cast<std::uint32_t>(random());
  return sent;
}

TEST_P(Backend, VerdictsAreThoseOfExplain) {
  constexpr DesktopId kDesktops = 5;
  World world(GetParam().open, kDesktops);
  int allowed = 0, refused = 0;
  // What answers another's first packet is its reply, under later rules too: pairs that have spoken
  // are left alone.
  std::set<std::pair<std::string, std::string>> spoken;
  for (unsigned seed = 1; seed <= 10; ++seed) {
    std::mt19937 random(seed);
    auto set = random_policies(random);
    // A bridge is a way for what is for all, and changes nothing of any other.
    if (GetParam().bridges && seed % 2 == 1)
      for (const char* group : {"g0", "g1"}) set.groups[group] = {group, true};
    const auto applied =
        world.apply(set, {{1, "p0"}, {2, "p1"}, {3, "p2"}, {4, "p3"}, {5, ""}}, seed % 2 == 0,
                    seed % 3 == 0 ? std::set<DesktopId>{4} : std::set<DesktopId>{});
    ASSERT_TRUE(applied) << applied.error().message();
    for (int round = 0; round < 4; ++round) {
      std::vector<Sent> all;
      for (DesktopId id = 0; id <= kDesktops; ++id) (void)world.arrived(id);
      for (int i = 0; i < 80; ++i) {
        Sent sent = random_flow(random, kDesktops, world);
        if (sent.from == sent.to) continue;
        const Sender from = sent.from != 0 ? world.sender(sent.from) : Sender{};
        const Sender to = sent.to != 0 ? world.sender(sent.to) : Sender{};
        sent.right = explain(world.rules(), sent.from != 0 ? &from : nullptr,
                             sent.to != 0 ? &to : nullptr, sent.flow);
        const Flow& flow = sent.flow;
        const auto a = to_string(flow.v6 ? prefix_of(flow.from6) : prefix_of(flow.from4));
        const auto b = to_string(flow.v6 ? prefix_of(flow.to6) : prefix_of(flow.to4));
        if (spoken.contains({b, a})) continue;
        spoken.emplace(a, b);
        world.send(sent.from, probe_packet(flow, sent.token), flow.v6);
        all.push_back(std::move(sent));
      }
      world.settle();
      std::map<DesktopId, std::vector<Bytes>> arrived;
      for (DesktopId id = 0; id <= kDesktops; ++id) arrived[id] = world.arrived(id);
      for (const Sent& sent : all) {
        const auto& there = arrived[sent.to];
        const bool came = std::any_of(there.begin(), there.end(), [&](const Bytes& packet) {
          return is_probe(packet, sent.flow, sent.token);
        });
        const Flow& flow = sent.flow;
        EXPECT_EQ(came, sent.right.allowed)
            << "seed " << seed << ": " << sent.from << " -> " << sent.to << ", "
            << to_string(flow.v6 ? prefix_of(flow.from6) : prefix_of(flow.from4)) << " -> "
            << to_string(flow.v6 ? prefix_of(flow.to6) : prefix_of(flow.to4)) << ", protocol "
            << static_cast<int>(flow.protocol) << " port " << flow.port << ": " << sent.right.rule;
        ++(sent.right.allowed ? allowed : refused);
      }
    }
  }
  EXPECT_GT(allowed, 100) << "the test says too little";
  EXPECT_GT(refused, 200) << "the test says too little";
}

const Service kDns = service("dns", {"10.1.0.53", "fd00:1::53"},
                             {{Protocol::kUdp, {53, 53}}, {Protocol::kTcp, {53, 53}}});
const Service kFiles =
    service("files", {"10.1.0.80", "fd00:1::80"}, {{Protocol::kTcp, {445, 445}}});
const Service kAdmins = service("admins", {"10.9.0.0/16"}, {{Protocol::kUdp, {161, 161}}});

TEST_P(Backend, RepliesComeBackAndNothingElse) {
  World world(GetParam().open, 2);
  ASSERT_TRUE(world.apply(policies({kDns, kAdmins}, {policy("office", {"dns"}, {"admins"})}),
                          {{1, "office"}}));
  const std::string me4 = "10.77.0.1", me6 = "fd77:70::1";
  // Unasked for, the service's words do not come.
  EXPECT_FALSE(world.passes(0, 1, udp("10.1.0.53", me4, 40000, 53), false));
  EXPECT_TRUE(world.passes(1, 0, udp(me4, "10.1.0.53", 53), false));
  EXPECT_TRUE(world.passes(0, 1, udp("10.1.0.53", me4, 40000, 53), false)) << "a reply";
  EXPECT_TRUE(world.passes(1, 0, udp(me4, "10.1.0.53", 53), false)) << "and the next question";
  EXPECT_FALSE(world.passes(0, 1, udp("10.1.0.53", me4, 40001, 53), false)) << "another port";
  EXPECT_FALSE(world.passes(0, 1, udp("10.1.0.54", me4, 40000, 53), false)) << "another host";
  EXPECT_TRUE(world.passes(1, 0, udp(me6, "fd00:1::53", 53), true));
  // Who may open connections to it, may; what answers it, goes back.
  EXPECT_TRUE(world.passes(0, 1, udp("10.9.1.1", me4, 161), false));
  EXPECT_TRUE(world.passes(1, 0, udp(me4, "10.9.1.1", 40000, 161), false));
  EXPECT_FALSE(world.passes(1, 0, udp(me4, "10.9.1.1", 161), false)) << "but it opens none itself";
  EXPECT_FALSE(world.passes(1, 2, udp(me4, "10.77.0.2", 53), false));
  // An error about a connection comes with it; one about nothing does not.
  const auto about = [&](const std::string& from, const std::string& to, std::uint16_t port) {
    Bytes message = Bytes{3, 3, 0, 0, 0, 0, 0, 0} + udp(from, to, port);
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < message.size(); i += 2) {
      sum += static_cast<std::uint32_t>(message[i]) << 8 |
             (i + 1 < message.size() ? message[i + 1] : 0U);
    }
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    message[2] = static_cast<std::uint8_t>(~sum >> 8);
    message[3] = static_cast<std::uint8_t>(~sum);
    return ipv4(ip4("10.1.0.1"), ip4("10.77.0.1"), message, {.protocol = 1});
  };
  EXPECT_TRUE(world.passes(0, 1, about(me4, "10.1.0.53", 53), false));
  EXPECT_FALSE(world.passes(0, 1, about(me4, "10.1.0.53", 54), false));
}

TEST_P(Backend, AnotherPolicyEndsWhatItDoesNotAllowAndKeepsTheRest) {
  World world(GetParam().open, 1);
  const auto set = policies({kDns, kAdmins}, {policy("first", {"dns", "admins"}),
                                              policy("second", {"dns"}), policy("third", {})});
  ASSERT_TRUE(world.apply(set, {{1, "first"}}));
  const std::string me = "10.77.0.1";
  ASSERT_TRUE(world.passes(1, 0, udp(me, "10.1.0.53", 53), false));
  ASSERT_TRUE(world.passes(0, 1, udp("10.1.0.53", me, 40000, 53), false));
  ASSERT_TRUE(world.passes(1, 0, udp(me, "10.9.0.1", 161), false));
  ASSERT_TRUE(world.passes(0, 1, udp("10.9.0.1", me, 40000, 161), false));

  ASSERT_TRUE(world.network().set_policy(1, policy_id(world.rules(), "second", "acme")));
  // The outside speaks first: the connection is known, and still allowed.
  EXPECT_TRUE(world.passes(0, 1, udp("10.1.0.53", me, 40000, 53), false));
  EXPECT_TRUE(world.passes(1, 0, udp(me, "10.1.0.53", 53), false));
  EXPECT_FALSE(world.passes(0, 1, udp("10.9.0.1", me, 40000, 161), false));
  EXPECT_FALSE(world.passes(1, 0, udp(me, "10.9.0.1", 161), false));

  // The same by other rules under the same name, and back.
  auto changed = set;
  changed.policies["second"].reach = {"admins"};
  ASSERT_TRUE(world.apply(changed, {{1, "second"}}));
  EXPECT_FALSE(world.passes(0, 1, udp("10.1.0.53", me, 40000, 53), false));
  EXPECT_TRUE(world.passes(1, 0, udp(me, "10.9.0.1", 161), false));
  ASSERT_TRUE(world.apply(changed, {{1, "third"}}));
  EXPECT_FALSE(world.passes(1, 0, udp(me, "10.9.0.1", 161), false));
  ASSERT_TRUE(world.apply(changed, {}));
  EXPECT_FALSE(world.passes(1, 0, udp(me, "10.9.0.1", 161), false));
}

TEST_P(Backend, WhatIsRemovedHasNoConnections) {
  World world(GetParam().open, 1);
  ASSERT_TRUE(world.apply(policies({kDns}, {policy("office", {"dns"})}), {{1, "office"}}));
  ASSERT_TRUE(world.passes(1, 0, udp("10.77.0.1", "10.1.0.53", 53), false));
  ASSERT_TRUE(world.passes(0, 1, udp("10.1.0.53", "10.77.0.1", 40000, 53), false));
  ASSERT_TRUE(world.network().detach(1));
  // Whoever has the address next is told nothing of what its last owner had asked for.
  const auto link = world.network().attach(1, world.inside(1));
  ASSERT_TRUE(link) << link.error().message();
  Tap tap(world.inside(1), "eth0");
  world.send(0, udp("10.1.0.53", "10.77.0.1", 40000, 53), false);
  world.settle();
  for (const auto& frame : tap.received()) {
    EXPECT_EQ(frame.find("70616e616c2d74657374"), std::string::npos) << frame;  // panal-test
  }
}

TEST_P(Backend, GroupsAreOfOneTenantAndEndWhenLeft) {
  World world(GetParam().open, 4);
  auto set = policies({}, {policy("pupil", {}, {}, "room"), policy("teacher", {}, {}, "room"),
                           policy("alone", {})});
  const auto talk = [&](int from, int to) {
    const std::string start4 = "10.77.0.", start6 = "fd77:70::";
    const auto a = std::to_string(from), b = std::to_string(to);
    const bool four = world.passes(from, to, udp(start4 + a, start4 + b, 9), false);
    const bool six = world.passes(from, to, udp(start6 + a, start6 + b, 9), true);
    EXPECT_EQ(four, six) << from << " -> " << to;
    return four;
  };
  for (const bool bridge : {false, true}) {
    if (bridge && !GetParam().bridges) continue;
    set.groups["room"] = {"room", bridge};
    ASSERT_TRUE(
        world.apply(set, {{1, "pupil"}, {2, "teacher"}, {3, "alone"}, {4, "pupil"}}, false, {4}));
    EXPECT_TRUE(talk(1, 2)) << bridge;
    EXPECT_TRUE(talk(2, 1)) << bridge;
    for (const auto& [from, to] :
         {std::pair{1, 3}, {3, 1}, {2, 3}, {1, 4}, {4, 1}, {4, 2}, {3, 4}}) {
      EXPECT_FALSE(talk(from, to)) << from << " -> " << to << bridge;
    }
    ASSERT_TRUE(world.network().set_policy(2, policy_id(world.rules(), "alone", "acme")));
    EXPECT_FALSE(talk(1, 2)) << bridge;
    EXPECT_FALSE(talk(2, 1)) << bridge;
    ASSERT_TRUE(world.network().set_policy(2, policy_id(world.rules(), "pupil", "acme")));
    EXPECT_TRUE(talk(1, 2)) << bridge;
  }
}

// A packet from the middle of a TCP connection, with a right checksum: a SYN made an ACK.
Bytes acknowledgement(const Flow& flow) {
  Bytes packet = probe_packet(flow, 1);
  const std::size_t flags = (flow.v6 ? 40U : 20U) + 13, checksum = flags + 3;
  constexpr std::uint8_t kSyn = 0x02, kAck = 0x10;
  packet[flags] = kAck;
  // RFC 1624.
  const std::uint32_t high = packet[checksum], low = packet[checksum + 1];
  std::uint32_t sum = (0xffffU & ~(high << 8 | low)) + kAck - kSyn;
  sum = (sum & 0xffffU) + (sum >> 16);
  packet[checksum] = static_cast<std::uint8_t>(~sum >> 8);
  packet[checksum + 1] = static_cast<std::uint8_t>(~sum);
  return packet;
}

TEST_P(Backend, WhatBelongsToNoConnectionDoesNotPassBetweenMates) {
  World world(GetParam().open, 2);
  ASSERT_TRUE(
      world.apply(policies({}, {policy("room", {}, {}, "room")}), {{1, "room"}, {2, "room"}}));
  Flow flow;
  flow.from4 = ip4("10.77.0.1"), flow.to4 = ip4("10.77.0.2");
  flow.from6 = ip6("fd77:70::1"), flow.to6 = ip6("fd77:70::2");
  flow.port = 9;
  const auto before = world.dropped("invalid");
  const Bytes rest = {0, 7, 0, 1, 'n', 'o', 'b', 'o', 'd', 'y', ' ', 'a', 's', 'k', 'e', 'd'};
  EXPECT_FALSE(world.passes(1, 2, icmp6(flow.from6, flow.to6, 129, rest), true)) << "echo reply";
  for (const bool v6 : {false, true}) {
    flow.v6 = v6;
    EXPECT_FALSE(world.passes(1, 2, acknowledgement(flow), v6)) << v6;
  }
  EXPECT_GE(world.dropped("invalid"), before + 3);
  for (const bool v6 : {false, true}) {
    flow.v6 = v6;
    EXPECT_TRUE(world.passes(1, 2, probe_packet(flow, 2), v6)) << "nothing passes at all";
  }
}

TEST_P(Backend, ConnectionsAreCountedForEachDesktop) {
  World world(GetParam().open, 2);
  NetPolicy limited = policy("office", {"admins"});
  limited.limits.connections = 5;
  ASSERT_TRUE(world.apply(policies({kAdmins}, {limited}), {{1, "office"}, {2, "office"}}));
  int open = 0;
  for (int i = 1; i <= 20; ++i) {
    open += world.passes(1, 0, udp("10.77.0.1", "10.9.0." + std::to_string(i), 161), false);
  }
  EXPECT_EQ(open, 5);
  EXPECT_GE(world.dropped("over_connections"), 15U);
  // The kernel counts those it refused for some ticks, until it looks again whether they are there.
  bool goes_on = false;
  for (int i = 0; i < 500 && !goes_on; ++i) {
    goes_on = world.passes(1, 0, udp("10.77.0.1", "10.9.0.1", 161), false);
    if (!goes_on) usleep(10'000);
  }
  EXPECT_TRUE(goes_on) << "one of them";
  EXPECT_TRUE(world.passes(0, 1, udp("10.9.0.1", "10.77.0.1", 40000, 161), false));
  EXPECT_TRUE(world.passes(2, 0, udp("10.77.0.2", "10.9.0.9", 161), false)) << "another desktop";
}

TEST_P(Backend, NewConnectionsAreHeldToTheirRate) {
  World world(GetParam().open, 1);
  NetPolicy limited = policy("office", {"admins"});
  limited.limits.new_connections_per_second = 3;
  ASSERT_TRUE(world.apply(policies({kAdmins}, {limited}), {{1, "office"}}));
  // Faster than 3 a second however slow the machine: nobody waits between these.
  for (int i = 1; i <= 250; ++i) {
    world.send(1, udp("10.77.0.1", "10.9.1." + std::to_string(i), 161), false);
  }
  world.settle();
  const auto passed = world.arrived(0).size();
  EXPECT_GE(passed, 3U);
  EXPECT_LT(passed, 125U);
  EXPECT_GE(world.dropped("over_rate"), 125U);
}

TEST_P(Backend, MasqueradeHidesDesktopsAndBringsRepliesBack) {
  World world(GetParam().open, 1);
  ASSERT_TRUE(world.apply(policies({kDns}, {policy("office", {"dns"})}), {{1, "office"}}, true));
  for (const bool v6 : {false, true}) {
    const Bytes question =
        v6 ? udp("fd77:70::1", "fd00:1::53", 53) : udp("10.77.0.1", "10.1.0.53", 53);
    (void)world.arrived(0);
    world.send(1, question, v6);
    world.settle();
    Bytes seen;
    const std::size_t source = v6 ? 8 : 12, length = v6 ? 16 : 4, header = v6 ? 40 : 20;
    for (const Bytes& packet : world.arrived(0)) {
      if (packet.size() == question.size()) seen = packet;
    }
    ASSERT_FALSE(seen.empty());
    const auto part = [&](std::size_t at, std::size_t n) {
      return Bytes(seen.begin() + static_cast<std::ptrdiff_t>(at),
                   seen.begin() + static_cast<std::ptrdiff_t>(at + n));
    };
    const Ipv4 node4 = ip4("192.0.2.1");
    const Ipv6 node6 = ip6("2001:db8:77::1");
    EXPECT_EQ(part(source, length),
              v6 ? Bytes(node6.begin(), node6.end()) : Bytes(node4.begin(), node4.end()));
    const auto port = static_cast<std::uint16_t>(seen[header] << 8 | seen[header + 1]);
    if (v6) continue;  // the reply's checksum is tested with IPv4
    EXPECT_TRUE(world.passes(0, 1, udp("10.1.0.53", "192.0.2.1", port, 53), false));
    EXPECT_FALSE(world.passes(0, 1, udp("10.1.0.53", "192.0.2.1", port, 54), false));
  }
}

TEST_P(Backend, WhatAPolicyLogsCanBeRead) {
  World world(GetParam().open, 2);
  NetPolicy talkative = policy("office", {"dns"});
  talkative.log = NetLog::kAll;
  NetPolicy quiet = policy("quiet", {"dns"});
  ASSERT_TRUE(world.apply(policies({kDns}, {talkative, quiet}), {{1, "office"}, {2, "quiet"}}));
  std::optional<PacketLog> log;
  const auto opened = run_inside(world.panal(), [&]() -> Result<void> {
    PANAL_ASSIGN(log, PacketLog::open());
    return {};
  });
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_TRUE(world.passes(1, 0, udp("10.77.0.1", "10.1.0.53", 53), false));
  EXPECT_FALSE(world.passes(1, 0, udp("fd77:70::1", "fd00:1::53", 54), true));
  EXPECT_FALSE(world.passes(2, 0, udp("10.77.0.2", "10.1.0.53", 54), false));
  std::vector<LoggedPacket> all;
  for (int i = 0; i < 10'000 && all.size() < 2; ++i) {
    const auto some = log->read();
    ASSERT_TRUE(some) << some.error().message();
    all.insert(all.end(), some->begin(), some->end());
    usleep(1000);
  }
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].prefix, "panal allowed office");
  EXPECT_EQ(all[0].to, "10.1.0.53");
  EXPECT_EQ(all[1].prefix, "panal denied office");
  EXPECT_EQ(all[1].from, "fd77:70::1");
  EXPECT_EQ(all[1].to_port, 54);
  EXPECT_NE(all[1].in_link, 0);
  // However much is refused, little is written.
  for (int i = 0; i < 200; ++i) world.send(1, udp("10.77.0.1", "10.1.0.54", 54), false);
  world.settle();
  std::size_t written = 0;
  for (int i = 0; i < 10'000 && written == 0; ++i) {
    const auto more = log->read();
    ASSERT_TRUE(more);
    written += more->size();
    usleep(1000);
  }
  EXPECT_GT(written, 0U);
  EXPECT_LT(written, 100U);
}

TEST_P(Backend, OneDesktopsRefusalsDoNotHideAnothers) {
  World world(GetParam().open, 2);
  NetPolicy talkative = policy("office", {"dns"}, {"admins"});
  talkative.log = NetLog::kDenied;
  ASSERT_TRUE(world.apply(policies({kDns, kAdmins}, {talkative}), {{1, "office"}, {2, "office"}}));
  std::optional<PacketLog> log;
  const auto opened = run_inside(world.panal(), [&]() -> Result<void> {
    PANAL_ASSIGN(log, PacketLog::open());
    return {};
  });
  ASSERT_TRUE(opened) << opened.error().message();
  const std::string one = "10.77.0.1", two = "10.77.0.2";
  for (int i = 0; i < 400; ++i) {
    world.send(1, udp(one, "10.1.0.54", 54), false);
    world.send(0, udp("10.9.0.1", one, 54), false);
  }
  world.send(2, udp(two, "10.1.0.54", 54), false);
  world.send(0, udp("10.9.0.1", two, 54), false);
  world.settle();
  bool from = false, to = false;
  for (int i = 0; i < 10'000 && !(from && to); ++i) {
    const auto some = log->read();
    ASSERT_TRUE(some) << some.error().message();
    for (const LoggedPacket& packet : *some) {
      from = from || packet.from == two;
      to = to || packet.to == two;
    }
    usleep(1000);
  }
  EXPECT_TRUE(from);
  EXPECT_TRUE(to);
}

TEST_P(Backend, OutsideCannotPretendToBeADesktop) {
  World world(GetParam().open, 2);
  const auto set = policies({kAdmins}, {policy("office", {}, {"admins"}, "room")});
  ASSERT_TRUE(world.apply(set, {{1, "office"}, {2, "office"}}));
  EXPECT_FALSE(world.passes(0, 1, udp("10.77.0.2", "10.77.0.1", 9), false));
  EXPECT_FALSE(world.passes(0, 1, udp("fd77:70::2", "fd77:70::1", 9), true));
  // Nor does it find the node itself.
  UdpEar four(world.panal(), AF_INET, kPort), six(world.panal(), AF_INET6, kPort);
  world.send(0, udp("10.9.0.1", "192.0.2.1", kPort), false);
  world.send(0, udp("2001:db8:1::1", "2001:db8:77::1", kPort), true);
  world.send(1, udp("10.77.0.1", "192.0.2.1", kPort), false);
  world.send(1, udp("fd77:70::1", "2001:db8:77::1", kPort), true);
  world.settle();
  EXPECT_EQ(four.heard(), 0);
  EXPECT_EQ(six.heard(), 0);
}

TEST_P(Backend, WhatIsTooBigForTheWayOutIsToldSo) {
  World world(GetParam().open, 1);
  ASSERT_TRUE(world.apply(
      policies({service("all", {"0.0.0.0/0", "::/0"})}, {policy("open", {"all"})}), {{1, "open"}}));
  ASSERT_EQ(shell_inside(world.panal(), "ip link set up0 mtu 1400"), 0);
  (void)world.arrived(0);
  const Bytes long_one(1400, 'x');
  // UDP to port 9 without a checksum, "do not fragment"; an echo request.
  const Bytes header = {0x9c, 0x40, 0, 9, 0x05, 0x80, 0, 0};
  world.send(1, ipv4(ip4("10.77.0.1"), ip4("8.8.8.8"), header + long_one, {.fragment = 0x4000}),
             false);
  world.send(1, icmp6(ip6("fd77:70::1"), ip6("2001:db8:1::1"), 128, long_one), true);
  world.settle();
  EXPECT_TRUE(world.arrived(0).empty());
  bool four = false, six = false;
  for (const Bytes& packet : world.arrived(1)) {
    if (packet.size() < 48) continue;
    four = four || (packet[0] >> 4 == 4 && packet[9] == 1 && packet[20] == 3 && packet[21] == 4);
    six = six || (packet[0] >> 4 == 6 && packet[6] == 58 && packet[40] == 2);
  }
  EXPECT_TRUE(four) << "IPv4's way is a hole for long packets";
  EXPECT_TRUE(six) << "IPv6's way is a hole for long packets";
  EXPECT_TRUE(world.passes(1, 0, udp("10.77.0.1", "8.8.8.8", 9), false)) << "a short one";
}

TEST_P(Backend, PacketsThatHideWhatTheyAreDoNotPass) {
  World world(GetParam().open, 1);
  ASSERT_TRUE(world.apply(
      policies({service("all", {"0.0.0.0/0", "::/0"})}, {policy("open", {"all"})}), {{1, "open"}}));
  const Ipv4 me4 = ip4("10.77.0.1"), to4 = ip4("8.8.8.8");
  const Ipv6 me6 = ip6("fd77:70::1"), to6 = ip6("2001:db8:1::1");
  ASSERT_TRUE(world.passes(1, 0, udp4(me4, to4), false));
  ASSERT_TRUE(world.passes(1, 0, udp6(me6, to6), true));
  const auto anything = [&](const Bytes& packet, bool v6) {
    (void)world.arrived(0);
    world.send(1, packet, v6);
    world.settle();
    return !world.arrived(0).empty();
  };
  EXPECT_FALSE(anything(udp4(me4, to4, kPort, {.fragment = 0x2000}), false)) << "first fragment";
  EXPECT_FALSE(anything(udp4(me4, to4, kPort, {.fragment = 0x0100}), false)) << "later fragment";
  EXPECT_FALSE(anything(udp4(me4, to4, kPort, {.options = {7, 7, 4, 0, 0, 0, 0, 0}}), false));
  for (const std::uint8_t next : Bytes{0, 43, 44, 51, 60, 135}) {
    EXPECT_FALSE(
        anything(ipv6(me6, to6, next, Bytes{17, 0, 0, 0, 0, 0, 0, 0} + Bytes(24, 0)), true))
        << "extension header " << int{next};
  }
  EXPECT_FALSE(anything(udp4(me4, ip4("169.254.169.254")), false)) << "a cloud's secrets";
  EXPECT_FALSE(anything(udp4(me4, ip4("10.77.200.1")), false)) << "nobody's address";
  EXPECT_FALSE(anything(udp6(me6, ip6("::ffff:8.8.8.8")), true)) << "IPv4 in disguise";
  EXPECT_FALSE(anything(udp4(ip4("10.77.0.2"), to4), false)) << "another's address";
}

}  // namespace
}  // namespace panal::netconfine
