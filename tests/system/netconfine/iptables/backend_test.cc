// The iptables backend in the real kernel, in both variants of iptables: what is loaded is what
// the kernel says it has, and packets fare as explain() says.
#include "netconfine/firewall/backend.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <random>

#include "netconfine/firewall/iptables/iptables.h"
#include "netconfine/firewall/iptables/set_tool.h"
#include "netconfine/netlink/enter.h"
#include "tests/system/netconfine/frames.h"
#include "tests/system/netconfine/iptables/plain_world.h"

namespace panal::netconfine {
namespace {

using namespace testing;

std::string words(const std::vector<Drift>& drifts) {
  std::string text;
  for (const auto& drift : drifts) text += drift.where + " " + drift.what + "\n";
  return text;
}

class IptablesBackend : public ::testing::TestWithParam<IptablesOptions> {
 protected:
  void SetUp() override {
    if (GetParam().sets && !run_inside(world_.panal(), []() -> Result<void> {
          const auto tool = SetTool::find();
          return tool ? Result<void>{} : tl::make_unexpected(tool.error());
        }))
      GTEST_SKIP() << "ipset or its kernel module is missing: install ipset";
    const auto opened = run_inside(world_.panal(), [&]() -> Result<void> {
      PANAL_ASSIGN(backend_, open_iptables_backend(GetParam()));
      return {};
    });
    ASSERT_TRUE(opened) << opened.error().message();
  }

  [[nodiscard]] std::string tool(const std::string& name) const {
    return name + (GetParam().variant == IptablesVariant::kNft ? "-nft" : "-legacy");
  }
  std::uint32_t id(const std::string& policy, const std::string& tenant = "") const {
    return policy_id(rules_, policy, tenant);
  }
  static Sender sender(DesktopId id, std::uint32_t policy) {
    return {PlainWorld::addresses(id), policy};
  }
  void load(const std::vector<Sender>& senders) {
    const auto loaded = backend_->load(rules_, senders);
    ASSERT_TRUE(loaded) << loaded.error().message();
    senders_.clear();
    for (const auto& one : senders) senders_[id_of_link(one.addresses.link)] = one;
    expect_no_drift();
  }
  void expect_no_drift() {
    const auto drifts = backend_->audit();
    ASSERT_TRUE(drifts) << drifts.error().message();
    EXPECT_EQ(words(*drifts), "");
  }
  std::string drift() {
    const auto drifts = backend_->audit();
    return drifts ? words(*drifts) : drifts.error().message();
  }
  bool to_outside(DesktopId from, const std::string& destination, Protocol protocol,
                  std::uint16_t port) {
    const bool v6 = destination.find(':') != std::string::npos;
    const auto own = PlainWorld::addresses(from);
    return arrives(world_.desktop(from), v6 ? to_string(own.ipv6) : to_string(own.ipv4),
                   world_.outside(), destination, protocol, port);
  }
  std::uint64_t dropped(const std::string& reason) {
    const auto drops = backend_->drops();
    if (!drops) ADD_FAILURE() << drops.error().message();
    for (const auto& drop : *drops)
      if (drop.reason == reason) return drop.packets;
    return 0;
  }
  /// Desktops 1 to 7 with all kinds of policy.
  std::vector<Sender> everybody() const {
    return {sender(1, id("office", "t1")), sender(2, id("office", "t1")),
            sender(3, id("pupil", "t1")),  sender(4, id("free")),
            sender(5, id("lonely")),       sender(6, 0),
            sender(7, id("office", "t2"))};
  }
  void add_desktops(DesktopId last) {
    for (DesktopId desktop = 1; desktop <= last; ++desktop) world_.add_desktop(desktop);
  }

  PlainWorld world_;
  Ruleset rules_ = PlainWorld::rules();
  std::map<DesktopId, Sender> senders_;
  std::unique_ptr<FirewallBackend> backend_;
};

TEST_P(IptablesBackend, TheKernelHasWhatWasMeant) {
  load(everybody());
  auto limits = rules_;
  for (auto& policy : limits.policies) {
    policy.limits.connections = 100;
    policy.limits.new_connections_per_second = 30000;
    policy.log = NetLog::kAll;
  }
  limits.masquerade = true;
  std::swap(rules_, limits);
  load(everybody());
  for (auto& policy : rules_.policies) policy.limits.new_connections_per_second = 5;
  load(everybody());
  rules_.uplink.clear();
  load(everybody());
  load({});
}

TEST_P(IptablesBackend, DesktopsComeAndGo) {
  load({});
  std::vector<Sender> many;
  for (DesktopId desktop = 1; desktop <= 130; ++desktop)
    many.push_back(sender(desktop, id(desktop % 3 == 0 ? "pupil" : "office", "t1")));
  ASSERT_TRUE(backend_->put(many));
  expect_no_drift();
  const auto links = backend_->links();
  ASSERT_TRUE(links) << links.error().message();
  EXPECT_EQ(links->size(), 130U);

  many.assign({sender(131, id("free")), sender(12, 0)});
  ASSERT_TRUE(backend_->put(many));
  expect_no_drift();
  std::vector<Addresses> gone;
  for (DesktopId desktop = 2; desktop <= 140; ++desktop)
    gone.push_back(PlainWorld::addresses(desktop));
  ASSERT_TRUE(backend_->remove(gone));
  expect_no_drift();
  EXPECT_EQ(*backend_->links(), std::vector<std::string>{"pnl1"});
}

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

TEST_P(IptablesBackend, DriftIsSeenAndMended) {
  add_desktops(2);
  load(everybody());
  const std::string ip = tool("iptables"), ip6 = tool("ip6tables");
  const std::vector<std::pair<std::string, std::string>> table = {
      {ip + " -F FORWARD", "chain ip filter FORWARD misses"},
      {ip + " -P FORWARD ACCEPT", "chain ip filter FORWARD has the policy ACCEPT, not DROP"},
      {ip6 + " -I FORWARD -j ACCEPT", "has a rule that is not ours: \"-j ACCEPT\""},
      {ip + " -t raw -F", "chain ip raw PANAL-SENDER misses"},
      {ip + " -t raw -D PANAL-SENDER 1", "chain ip raw PANAL-SENDER misses"},
      {GetParam().sets ? "ipset flush $(ipset list -n | grep '^pnl4[a-z]$')"
                       : ip + " -F PANAL-FROM",
       GetParam().sets ? "misses 10.77.0.1,pnl1" : "chain ip filter PANAL-FROM misses"},
      {GetParam().sets ? "ipset add $(ipset list -n | grep '^pnl6[a-z]$') fd77::9,pnl1"
                       : ip6 + " -A PANAL-FROM -j ACCEPT",
       "that is not ours"},
      {ip6 + " -F; " + ip6 + " -X", "is missing"},
      {ip + " -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.77.0.1",
       "chain ip nat PREROUTING is not ours"},
      {ip6 + " -t mangle -N MINE", "chain ip6 mangle MINE is not ours"},
      {"echo 262144 > /proc/sys/net/ipv4/ipfrag_high_thresh", "ipfrag_high_thresh is 262144"},
      {"arptables-nft -P INPUT ACCEPT", "chain arp filter INPUT has the policy ACCEPT"},
      {(GetParam().variant == IptablesVariant::kNft ? "iptables-legacy" : "iptables-nft") +
           std::string(" -t nat -A PREROUTING -j ACCEPT"),
       "chain ip of the other iptables nat PREROUTING is not ours"},
  };
  for (const auto& [command, expected] : table) {
    ASSERT_EQ(shell_inside(world_.panal(), command), 0) << command;
    EXPECT_NE(drift().find(expected), std::string::npos) << command << "\n" << drift();
    load(everybody());
    EXPECT_TRUE(to_outside(1, "10.1.0.1", Protocol::kUdp, 53)) << command;
    EXPECT_FALSE(to_outside(1, "8.8.8.8", Protocol::kUdp, 53)) << command;
  }
}

TEST_P(IptablesBackend, AChangeThatFindsNothingToStandOnLoadsEverything) {
  add_desktops(1);
  load({sender(1, id("office", "t1")), sender(11, id("office", "t1"))});
  const std::string flush = tool("iptables") + " -t raw -F && ";
  ASSERT_EQ(shell_inside(world_.panal(),
                         GetParam().sets
                             ? flush + "set=$(ipset list -n | grep '^pnl4[a-z]$'); "
                                       // The kernel lets go of it a moment later.
                                       "for i in 1 2 3 4 5 6 7 8 9; do "
                                       "ipset destroy $set 2>/dev/null && exit 0; sleep 0.2; done; "
                                       "exit 1"
                             : flush + tool("iptables") + " -t raw -X"),
            0);
  EXPECT_FALSE(to_outside(1, "10.1.0.1", Protocol::kUdp, 53)) << "the policy is to drop";
  const auto removed = backend_->remove(std::vector{PlainWorld::addresses(11)});
  ASSERT_TRUE(removed) << removed.error().message();
  expect_no_drift();
  EXPECT_TRUE(to_outside(1, "10.1.0.1", Protocol::kUdp, 53));
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

TEST_P(IptablesBackend, BadRulesChangeNothing) {
  load(everybody());
  auto bad = rules_;
  bad.policies[0].name = "x\nCOMMIT";
  EXPECT_EQ(backend_->load(bad, everybody()).error().code, EINVAL);
  EXPECT_EQ(backend_->load(rules_, {sender(1, 999)}).error().code, EINVAL);
  expect_no_drift();
  EXPECT_EQ(backend_->links()->size(), 7U);
}

TEST_P(IptablesBackend, ClearLeavesNothing) {
  load(everybody());
  ASSERT_TRUE(run_inside(world_.panal(), clear_iptables));
  for (const char* name : {"iptables-legacy-save", "ip6tables-legacy-save", "iptables-nft-save",
                           "ip6tables-nft-save", "arptables-nft-save"}) {
    const auto saved = output_inside(world_.panal(), std::string(name) + " 2>/dev/null");
    EXPECT_EQ(saved.find("-A"), std::string::npos) << name << "\n" << saved;
    EXPECT_EQ(saved.find("DROP"), std::string::npos) << name << "\n" << saved;
    EXPECT_EQ(saved.find("PANAL"), std::string::npos) << name << "\n" << saved;
  }
}

TEST_P(IptablesBackend, KilledAnywhereNothingIsMoreOpen) {
  add_desktops(3);
  auto set = PlainWorld::policies();
  const auto rules_with = [&](std::vector<std::string> reach, const std::string& group) {
    set.policies["office"].reach = std::move(reach);
    set.policies["office"].group = group;
    return *compile(set, {.uplink = PlainWorld::kUplink,
                          .masquerade = false,
                          .desktops = {},
                          .uses = {{"office", "t1"}, {"pupil", "t1"}}});
  };
  const Ruleset first = rules_with({"dns"}, "class");
  const Ruleset second = rules_with({"web"}, "");
  // Without a group a policy is every tenant's.
  const auto senders = [&](const Ruleset& rules) {
    const auto office = policy_id(rules, "office", "t1");
    return std::vector{sender(1, office != 0 ? office : policy_id(rules, "office", "")),
                       sender(2, policy_id(rules, "lonely", "")), sender(3, 0)};
  };
  std::mt19937 random(2);  // NOLINT(cert-msc51-cpp): the same moments each time, as far as they are
  const std::string own1 = to_string(PlainWorld::addresses(1).ipv4);
  // Before the first rules are in force, a node forwards nothing; this world does.
  ASSERT_TRUE(backend_->load(first, senders(first)));
  for (int round = 0; round < 15; ++round) {
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      SetUp();  // sockets of its own
      for (;;) {
        bool good = backend_->load(first, senders(first)).has_value();
        good = good && backend_->remove(std::vector{PlainWorld::addresses(1)});
        good = good && backend_->put(std::vector{senders(first)[0]});
        good = good && backend_->load(second, senders(second));
        if (!good) _exit(1);
      }
    }
    usleep(static_cast<useconds_t>(random() % 120'000));
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "a change has failed";
    EXPECT_FALSE(to_outside(1, "8.8.8.8", Protocol::kUdp, 53));
    EXPECT_FALSE(to_outside(2, "10.1.0.1", Protocol::kUdp, 53));
    EXPECT_FALSE(to_outside(3, "10.1.0.77", Protocol::kTcp, 8000));
    EXPECT_FALSE(arrives(world_.outside(), "8.8.8.8", world_.desktop(1), own1, Protocol::kUdp, 9));
    EXPECT_FALSE(arrives(world_.desktop(1), own1, world_.desktop(2),
                         to_string(PlainWorld::addresses(2).ipv4), Protocol::kUdp, 9));
  }
  // A new process takes over whatever is there.
  ASSERT_TRUE(run_inside(world_.panal(), [&]() -> Result<void> {
    PANAL_ASSIGN(backend_, open_iptables_backend(GetParam()));
    return {};
  }));
  const auto loaded = backend_->load(first, senders(first));
  ASSERT_TRUE(loaded) << loaded.error().message();
  expect_no_drift();
  EXPECT_TRUE(to_outside(1, "10.1.0.1", Protocol::kUdp, 53));
  EXPECT_FALSE(to_outside(1, "10.1.0.77", Protocol::kTcp, 8000));
}

TEST_P(IptablesBackend, ReportsWhatAThousandCost) {
  using Clock = std::chrono::steady_clock;
  const auto ms = [](Clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
  };
  std::vector<Sender> many;
  for (DesktopId desktop = 1; desktop <= 1000; ++desktop)
    many.push_back(sender(desktop, id("office", "t1")));
  auto begin = Clock::now();
  load(many);
  fmt::print("load and audit of 1,000: {:.1f} ms\n", ms(Clock::now() - begin));
  std::vector<double> puts, removes;
  for (DesktopId desktop = 2001; desktop <= 2011; ++desktop) {
    begin = Clock::now();
    ASSERT_TRUE(backend_->put(std::vector{sender(desktop, id("office", "t1"))}));
    puts.push_back(ms(Clock::now() - begin));
    begin = Clock::now();
    ASSERT_TRUE(backend_->remove(std::vector{PlainWorld::addresses(desktop)}));
    removes.push_back(ms(Clock::now() - begin));
  }
  std::sort(puts.begin(), puts.end());
  std::sort(removes.begin(), removes.end());
  begin = Clock::now();
  expect_no_drift();
  const auto audit = ms(Clock::now() - begin);
  // A packet's whole way to outside, and back to the sender's next: veths pass it on in the call.
  constexpr DesktopId kOne = 777;
  world_.add_desktop(kOne);
  Tap mouth(world_.desktop(kOne), "eth0");
  const Addresses me = PlainWorld::addresses(kOne);
  const Bytes frame = ethernet(me.gateway_mac, me.mac, 0x0800, udp4(me.ipv4, ip4("10.1.0.1"), 53));
  constexpr int kFrames = 20'000;
  std::string costs;
  for (const DesktopId count : {1, 100, 400, 1000}) {
    many.assign({sender(kOne, id("office", "t1"))});
    for (DesktopId desktop = 1; desktop < count; ++desktop)
      if (desktop != kOne) many.push_back(sender(desktop, id("office", "t1")));
    load(many);
    double best = 1e9;
    for (int repeat = 0; repeat < 5; ++repeat) {
      begin = Clock::now();
      for (int i = 0; i < kFrames; ++i) mouth.send(frame);
      best = std::min(best, ms(Clock::now() - begin) * 1e6 / kFrames);
    }
    costs += fmt::format("{}: {:.0f} ns  ", count, best);
  }
  fmt::print("a packet with N desktops: {}\n", costs);
  fmt::print("put {:.1f} ms, remove {:.1f} ms (medians of {}), audit {:.1f} ms\n",
             puts[puts.size() / 2], removes[removes.size() / 2], puts.size(), audit);
}

TEST(IptablesBackendOpen, TheMachinesOwnNamespaceIsRefused) {
  const auto opened = open_iptables_backend();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message(),
            "iptables: this is the machine's own network namespace: Invalid argument");
  // Nothing of ours can be there, and what is there is others'.
  EXPECT_TRUE(clear_iptables());
}

std::string way_name(const ::testing::TestParamInfo<IptablesOptions>& way) {
  return std::string(way.param.variant == IptablesVariant::kNft ? "Nft" : "Legacy") +
         (way.param.sets ? "WithSets" : "WithTrees");
}

INSTANTIATE_TEST_SUITE_P(Ways, IptablesBackend,
                         ::testing::Values(IptablesOptions{IptablesVariant::kLegacy, true},
                                           IptablesOptions{IptablesVariant::kLegacy, false},
                                           IptablesOptions{IptablesVariant::kNft, true},
                                           IptablesOptions{IptablesVariant::kNft, false}),
                         way_name);

}  // namespace
}  // namespace panal::netconfine
