#include "netconfine/firewall/iptables/rules.h"

#include <gtest/gtest.h>

#include "netconfine/firewall/iptables/policy_chains.h"

namespace panal::netconfine {
namespace {

Addresses addresses_of(DesktopId id) {
  return *AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id);
}

Prefix prefix4(std::uint8_t a, std::uint8_t b, std::uint8_t length) {
  return {.v6 = false, .bytes = {a, b}, .length = length};
}

Prefix prefix6(std::uint8_t a, std::uint8_t b, std::uint8_t length) {
  return {.v6 = true, .bytes = {a, b}, .length = length};
}

/// dns by two protocols, the internet less a corner; reached by a proxy; a group; limits; a log.
Ruleset office() {
  CompiledPolicy policy;
  policy.id = 2;
  policy.name = "office";
  policy.reach = {
      {"dns", prefix4(10, 1, 16), false, Protocol::kTcp, {53, 53}},
      {"dns", prefix4(10, 1, 16), false, Protocol::kUdp, {53, 53}},
      {"internet", prefix4(10, 0, 8), true, Protocol::kAny, {}},
      {"internet", prefix6(0xfd, 0, 8), true, Protocol::kAny, {}},
      {"internet", prefix4(0, 0, 0), false, Protocol::kAny, {}},
      {"internet", prefix6(0, 0, 0), false, Protocol::kAny, {}},
      {"ping", prefix4(10, 2, 16), false, Protocol::kIcmp, {}},
      {"ping", prefix6(0xfd, 2, 16), false, Protocol::kIcmp, {}},
      {"web", prefix4(10, 3, 16), false, Protocol::kTcp, {8000, 8100}},
  };
  policy.reached_by = {{"support", prefix4(10, 9, 32), false, Protocol::kTcp, {}}};
  policy.group = 1;
  policy.limits.connections = 200;
  policy.limits.new_connections_per_second = 20;
  policy.log = NetLog::kAll;
  CompiledPolicy plain;
  plain.id = 1;
  plain.name = "alone";
  return {.policies = {plain, policy}, .uplink = "up0", .masquerade = true};
}

Senders three() {
  return {{7, {addresses_of(7), 2}}, {12, {addresses_of(12), 1}}, {13, {addresses_of(13), 0}}};
}

TEST(RuleTables, Ipv4WithEverything) {
  EXPECT_EQ(replacing_text(rule_tables(IpFamily::kIpv4, office(), three())),
            R"(*filter
:FORWARD DROP [0:0]
:INPUT DROP [0:0]
:OUTPUT DROP [0:0]
:PANAL-BY-1 - [0:0]
:PANAL-BY-2 - [0:0]
:PANAL-BY-2-ALLOW - [0:0]
:PANAL-FROM - [0:0]
:PANAL-MATE-2 - [0:0]
:PANAL-OPEN-1 - [0:0]
:PANAL-OPEN-2 - [0:0]
:PANAL-OPENED-2 - [0:0]
:PANAL-REACH-2 - [0:0]
:PANAL-REACH-2-2 - [0:0]
:PANAL-SEND-1 - [0:0]
:PANAL-SEND-2 - [0:0]
:PANAL-TO - [0:0]
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -i up0 -p icmp -m conntrack --ctstate RELATED -j ACCEPT
-A FORWARD -m conntrack ! --ctstate NEW -m comment --comment panal-invalid -j DROP
-A FORWARD -i pnl+ -j PANAL-FROM
-A FORWARD -i up0 -o pnl+ -j PANAL-TO
-A FORWARD -o pnl+ -m comment --comment panal-to_desktop -j DROP
-A FORWARD -m comment --comment panal-to_outside -j DROP
-A INPUT -i lo -j ACCEPT
-A INPUT -m comment --comment panal-to_host -j DROP
-A OUTPUT -o lo -j ACCEPT
-A OUTPUT -p icmp -m icmp --icmp-type 3/4 -m conntrack --ctstate RELATED -j ACCEPT
-A OUTPUT -m comment --comment panal-from_host -j DROP
-A PANAL-BY-1 -m comment --comment alone
-A PANAL-BY-1 -m comment --comment panal-denied -j DROP
-A PANAL-BY-2 -m comment --comment office
-A PANAL-BY-2 -j PANAL-BY-2-ALLOW
-A PANAL-BY-2 -m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 20 --hashlimit-mode dstip --hashlimit-name pnl-log-dst --hashlimit-htable-expire 60000 -j NFLOG --nflog-prefix "panal denied office " --nflog-group 77
-A PANAL-BY-2 -m comment --comment panal-denied -j DROP
-A PANAL-BY-2-ALLOW -s 10.9.0.0/32 -p tcp -m comment --comment support -g PANAL-OPENED-2
-A PANAL-FROM -s 10.77.0.12/32 -i pnl12 -g PANAL-SEND-1
-A PANAL-FROM -s 10.77.0.7/32 -i pnl7 -g PANAL-SEND-2
-A PANAL-MATE-2 -d 10.77.0.7/32 -o pnl7 -g PANAL-OPEN-2
-A PANAL-OPEN-1 -m conntrack ! --ctstatus CONFIRMED -m connlimit --connlimit-above 4096 --connlimit-mask 32 --connlimit-saddr -m comment --comment panal-over_connections -j DROP
-A PANAL-OPEN-1 -j ACCEPT
-A PANAL-OPEN-2 -m conntrack ! --ctstatus CONFIRMED -m hashlimit --hashlimit-above 20/sec --hashlimit-burst 20 --hashlimit-mode srcip --hashlimit-name pnl2-20 -m comment --comment panal-over_rate -j DROP
-A PANAL-OPEN-2 -m conntrack ! --ctstatus CONFIRMED -m connlimit --connlimit-above 200 --connlimit-mask 32 --connlimit-saddr -m comment --comment panal-over_connections -j DROP
-A PANAL-OPEN-2 -m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 20 --hashlimit-mode srcip --hashlimit-name pnl-log-src --hashlimit-htable-expire 60000 -j NFLOG --nflog-prefix "panal allowed office " --nflog-group 77
-A PANAL-OPEN-2 -j ACCEPT
-A PANAL-OPENED-2 -m conntrack ! --ctstatus CONFIRMED -m connlimit --connlimit-above 200 --connlimit-mask 32 --connlimit-daddr -m comment --comment panal-over_connections -j DROP
-A PANAL-OPENED-2 -m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 20 --hashlimit-mode dstip --hashlimit-name pnl-log-dst --hashlimit-htable-expire 60000 -j NFLOG --nflog-prefix "panal allowed office " --nflog-group 77
-A PANAL-OPENED-2 -j ACCEPT
-A PANAL-REACH-2 -d 10.1.0.0/16 -p tcp -m tcp --dport 53 -m comment --comment dns -g PANAL-OPEN-2
-A PANAL-REACH-2 -d 10.1.0.0/16 -p udp -m udp --dport 53 -m comment --comment dns -g PANAL-OPEN-2
-A PANAL-REACH-2 -j PANAL-REACH-2-2
-A PANAL-REACH-2 -d 10.2.0.0/16 -p icmp -m icmp --icmp-type 8 -m comment --comment ping -g PANAL-OPEN-2
-A PANAL-REACH-2 -d 10.3.0.0/16 -p tcp -m tcp --dport 8000:8100 -m comment --comment web -g PANAL-OPEN-2
-A PANAL-REACH-2-2 -d 10.0.0.0/8 -m comment --comment internet -j RETURN
-A PANAL-REACH-2-2 -m comment --comment internet -g PANAL-OPEN-2
-A PANAL-SEND-1 -m comment --comment alone
-A PANAL-SEND-1 -o up0 -m comment --comment panal-denied -j DROP
-A PANAL-SEND-2 -m comment --comment office
-A PANAL-SEND-2 -o up0 -j PANAL-REACH-2
-A PANAL-SEND-2 -o pnl+ -j PANAL-MATE-2
-A PANAL-SEND-2 -m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 20 --hashlimit-mode srcip --hashlimit-name pnl-log-src --hashlimit-htable-expire 60000 -j NFLOG --nflog-prefix "panal denied office " --nflog-group 77
-A PANAL-SEND-2 -o up0 -m comment --comment panal-denied -j DROP
-A PANAL-TO -d 10.77.0.12/32 -o pnl12 -g PANAL-BY-1
-A PANAL-TO -d 10.77.0.7/32 -o pnl7 -g PANAL-BY-2
COMMIT
*nat
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:PREROUTING ACCEPT [0:0]
-A POSTROUTING -o up0 -j MASQUERADE
COMMIT
*raw
:OUTPUT ACCEPT [0:0]
:PANAL-SENDER - [0:0]
:PANAL-SENDER-1 - [0:0]
:PREROUTING DROP [0:0]
-A PANAL-SENDER -i pnl1+ -g PANAL-SENDER-1
-A PANAL-SENDER -s 10.77.0.7/32 -i pnl7 -m mac --mac-source 02:70:00:00:00:07 -j ACCEPT
-A PANAL-SENDER-1 -s 10.77.0.12/32 -i pnl12 -m mac --mac-source 02:70:00:00:00:0c -j ACCEPT
-A PANAL-SENDER-1 -s 10.77.0.13/32 -i pnl13 -m mac --mac-source 02:70:00:00:00:0d -j ACCEPT
-A PREROUTING -i lo -j ACCEPT
-A PREROUTING -m u32 --u32 "0x0>>0x18&0xf=0x6:0xf" -m comment --comment panal-header_options -j DROP
-A PREROUTING -i up0 -m rpfilter --invert -m comment --comment panal-spoofed_outside -j DROP
-A PREROUTING -i up0 -j ACCEPT
-A PREROUTING -i pnl+ -j PANAL-SENDER
-A PREROUTING -m comment --comment panal-spoofed_ipv4 -j DROP
COMMIT
)");
}

TEST(RuleTables, Ipv6WithoutAWayOut) {
  Ruleset rules = office();
  rules.uplink.clear();
  rules.masquerade = false;
  rules.policies[1].limits = {};
  rules.policies[1].log = NetLog::kNone;
  EXPECT_EQ(replacing_text(rule_tables(IpFamily::kIpv6, rules, {{7, {addresses_of(7), 2}}})),
            R"(*filter
:FORWARD DROP [0:0]
:INPUT DROP [0:0]
:OUTPUT DROP [0:0]
:PANAL-FROM - [0:0]
:PANAL-MATE-2 - [0:0]
:PANAL-OPEN-1 - [0:0]
:PANAL-OPEN-2 - [0:0]
:PANAL-SEND-1 - [0:0]
:PANAL-SEND-2 - [0:0]
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -m conntrack ! --ctstate NEW -m comment --comment panal-invalid -j DROP
-A FORWARD -i pnl+ -j PANAL-FROM
-A FORWARD -o pnl+ -m comment --comment panal-to_desktop -j DROP
-A FORWARD -m comment --comment panal-to_outside -j DROP
-A INPUT -i lo -j ACCEPT
-A INPUT -m comment --comment panal-to_host -j DROP
-A OUTPUT -o lo -j ACCEPT
-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 2 -m conntrack --ctstate RELATED -j ACCEPT
-A OUTPUT -m comment --comment panal-from_host -j DROP
-A PANAL-FROM -s fd77:70::7/128 -i pnl7 -g PANAL-SEND-2
-A PANAL-MATE-2 -d fd77:70::7/128 -o pnl7 -g PANAL-OPEN-2
-A PANAL-OPEN-1 -m conntrack ! --ctstatus CONFIRMED -m connlimit --connlimit-above 4096 --connlimit-mask 128 --connlimit-saddr -m comment --comment panal-over_connections -j DROP
-A PANAL-OPEN-1 -j ACCEPT
-A PANAL-OPEN-2 -m conntrack ! --ctstatus CONFIRMED -m connlimit --connlimit-above 4096 --connlimit-mask 128 --connlimit-saddr -m comment --comment panal-over_connections -j DROP
-A PANAL-OPEN-2 -j ACCEPT
-A PANAL-SEND-1 -m comment --comment alone
-A PANAL-SEND-2 -m comment --comment office
-A PANAL-SEND-2 -o pnl+ -j PANAL-MATE-2
COMMIT
*raw
:OUTPUT ACCEPT [0:0]
:PANAL-ND - [0:0]
:PANAL-SENDER - [0:0]
:PREROUTING DROP [0:0]
-A PANAL-ND -p ipv6-icmp -m icmp6 --icmpv6-type 133 -m comment --comment panal-neighbour_discovery -j DROP
-A PANAL-ND -p ipv6-icmp -m icmp6 --icmpv6-type 134 -m comment --comment panal-neighbour_discovery -j DROP
-A PANAL-ND -p ipv6-icmp -m icmp6 --icmpv6-type 135 -m comment --comment panal-neighbour_discovery -j DROP
-A PANAL-ND -p ipv6-icmp -m icmp6 --icmpv6-type 136 -m comment --comment panal-neighbour_discovery -j DROP
-A PANAL-ND -p ipv6-icmp -m icmp6 --icmpv6-type 137 -m comment --comment panal-neighbour_discovery -j DROP
-A PANAL-SENDER -s fd77:70::7/128 -i pnl7 -m mac --mac-source 02:70:00:00:00:07 -j ACCEPT
-A PREROUTING -i lo -j ACCEPT
-A PREROUTING -m u32 --u32 "0x4>>0x8&0xff=0x0,0x2b:0x2c,0x33,0x3c,0x87,0x8b:0x8c,0xfd:0xfe" -m comment --comment panal-header_options -j DROP
-A PREROUTING -p ipv6-icmp -j PANAL-ND
-A PREROUTING -i pnl+ -j PANAL-SENDER
-A PREROUTING -s fe80::/10 -m comment --comment panal-link_local -j DROP
-A PREROUTING -m comment --comment panal-spoofed_ipv6 -j DROP
COMMIT
)");
}

TEST(RuleTables, Ipv6ServicesAndTheUplinksNeighbours) {
  const auto tables = rule_tables(IpFamily::kIpv6, office(), three());
  const RuleTable& filter = tables.at("filter");
  EXPECT_EQ(filter.at("PANAL-REACH-2").rules,
            (std::vector<std::string>{
                "-j PANAL-REACH-2-2",
                "-d fd02::/16 -p ipv6-icmp -m icmp6 --icmpv6-type 128 -m comment --comment ping "
                "-g PANAL-OPEN-2"}));
  EXPECT_EQ(filter.at("PANAL-REACH-2-2").rules,
            (std::vector<std::string>{"-d fd00::/8 -m comment --comment internet -j RETURN",
                                      "-m comment --comment internet -g PANAL-OPEN-2"}));
  const auto& in = tables.at("raw").at("PREROUTING").rules;
  ASSERT_EQ(in.size(), 10U);
  EXPECT_EQ(in[2], "-i up0 -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT");
  EXPECT_EQ(in[4],
            "-i up0 -m rpfilter --invert -m comment --comment panal-spoofed_outside -j DROP");
  EXPECT_EQ(in[5], "-i up0 -j ACCEPT");
  // Nothing of IPv6 reaches it: no chain for what does.
  EXPECT_FALSE(filter.contains("PANAL-BY-2-ALLOW"));
  EXPECT_EQ(filter.at("INPUT").rules[2],
            "-i up0 -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j ACCEPT");
}

TEST(RuleTables, ADesktopMoreTouchesFewChains) {
  const auto before = rule_tables(IpFamily::kIpv4, office(), three());
  Senders senders = three();
  senders[130] = {addresses_of(130), 2};
  const auto text = changing_text(before, rule_tables(IpFamily::kIpv4, office(), senders));
  EXPECT_EQ(text, R"(*filter
:PANAL-FROM - [0:0]
:PANAL-FROM-1 - [0:0]
:PANAL-MATE-2 - [0:0]
:PANAL-TO - [0:0]
:PANAL-TO-1 - [0:0]
-A PANAL-FROM -i pnl1+ -g PANAL-FROM-1
-A PANAL-FROM -s 10.77.0.7/32 -i pnl7 -g PANAL-SEND-2
-A PANAL-FROM-1 -s 10.77.0.12/32 -i pnl12 -g PANAL-SEND-1
-A PANAL-FROM-1 -s 10.77.0.130/32 -i pnl130 -g PANAL-SEND-2
-A PANAL-MATE-2 -d 10.77.0.130/32 -o pnl130 -g PANAL-OPEN-2
-A PANAL-MATE-2 -d 10.77.0.7/32 -o pnl7 -g PANAL-OPEN-2
-A PANAL-TO -o pnl1+ -g PANAL-TO-1
-A PANAL-TO -d 10.77.0.7/32 -o pnl7 -g PANAL-BY-2
-A PANAL-TO-1 -d 10.77.0.12/32 -o pnl12 -g PANAL-BY-1
-A PANAL-TO-1 -d 10.77.0.130/32 -o pnl130 -g PANAL-BY-2
COMMIT
*raw
:PANAL-SENDER-1 - [0:0]
:PANAL-SENDER-13 - [0:0]
-A PANAL-SENDER-1 -s 10.77.0.12/32 -i pnl12 -m mac --mac-source 02:70:00:00:00:0c -j ACCEPT
-A PANAL-SENDER-1 -i pnl13+ -g PANAL-SENDER-13
-A PANAL-SENDER-13 -s 10.77.0.13/32 -i pnl13 -m mac --mac-source 02:70:00:00:00:0d -j ACCEPT
-A PANAL-SENDER-13 -s 10.77.0.130/32 -i pnl130 -m mac --mac-source 02:70:00:00:00:82 -j ACCEPT
COMMIT
)");
}

TEST(RuleTables, AnUnknownPolicyAllowsNothing) {
  const auto tables = rule_tables(IpFamily::kIpv4, office(), {{7, {addresses_of(7), 99}}});
  EXPECT_TRUE(tables.at("filter").at("PANAL-FROM").rules.empty());
  EXPECT_EQ(tables.at("raw").at("PANAL-SENDER").rules.size(), 1U);
}

TEST(CheckWords, NothingGetsIntoARuleThatCouldEndIt) {
  EXPECT_TRUE(check_words(office()));
  const auto with = [](auto change) {
    Ruleset rules = office();
    change(rules);
    const auto checked = check_words(rules);
    return checked ? 0 : checked.error().code;
  };
  EXPECT_EQ(with([](Ruleset& r) { r.uplink = "up0 -j ACCEPT"; }), EINVAL);
  EXPECT_EQ(with([](Ruleset& r) { r.uplink = "up+"; }), EINVAL);
  EXPECT_EQ(with([](Ruleset& r) { r.uplink = "pnl3"; }), EINVAL);
  EXPECT_EQ(with([](Ruleset& r) { r.uplink = "a-name-too-long-for-a-link"; }), EINVAL);
  EXPECT_EQ(with([](Ruleset& r) { r.uplink = "eth0.12"; }), 0);
  EXPECT_EQ(with([](Ruleset& r) { r.policies[0].name = "a\nCOMMIT"; }), EINVAL);
  EXPECT_EQ(with([](Ruleset& r) { r.policies[0].name = ""; }), EINVAL);
  EXPECT_EQ(with([](Ruleset& r) { r.policies[0].id = 2; }), EINVAL);
  EXPECT_EQ(with([](Ruleset& r) { r.policies[0].id = 0; }), EINVAL);
  EXPECT_EQ(with([](Ruleset& r) { r.policies[0].group = 65536; }), EINVAL);
  EXPECT_EQ(with([](Ruleset& r) { r.policies[1].reach[0].service = "d\"ns"; }), EINVAL);
}

TEST(CheckSender, HasADesktopsLinkAndAPolicyThatIsThere) {
  EXPECT_EQ(*check_sender(office(), {addresses_of(7), 2}), 7);
  EXPECT_EQ(*check_sender(office(), {addresses_of(7), 0}), 7);
  EXPECT_EQ(check_sender(office(), {addresses_of(7), 3}).error().message(),
            "pnl7: policy number 3 is not among the rules: Invalid argument");
  for (const char* name :
       {"", "pnl", "pnl0", "pnl07", "eth0", "pnl7+", "pnl7 ", "pnl1234567890123"})
    EXPECT_FALSE(check_sender(office(), {{.link = name}, 0})) << name;
}

TEST(HashlimitRate, IsOneThatComesBackAsItIsWritten) {
  EXPECT_EQ(hashlimit_rate(1), 1U);
  EXPECT_EQ(hashlimit_rate(20), 20U);
  EXPECT_EQ(hashlimit_rate(0), 1U);
  EXPECT_EQ(hashlimit_rate(30000), 30303U);
  EXPECT_EQ(hashlimit_rate(4000000000), 1000000U);
  for (std::uint32_t wanted = 1; wanted <= 1000000; wanted += 7) {
    const auto rate = hashlimit_rate(wanted);
    EXPECT_EQ(hashlimit_rate(rate), rate) << wanted;
    EXPECT_GE(rate, wanted) << wanted;
  }
}

}  // namespace
}  // namespace panal::netconfine
