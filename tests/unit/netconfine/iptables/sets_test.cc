#include "netconfine/firewall/iptables/sets.h"

#include <gtest/gtest.h>

#include "netconfine/firewall/iptables/rules.h"

namespace panal::netconfine {
namespace {

Addresses own_addresses(DesktopId id) {
  return *AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id);
}

Ruleset two_policies() {
  CompiledPolicy first, second;
  first.id = 1;
  first.name = "first";
  first.group = 4;
  second.id = 2;
  second.name = "second";
  second.group = 4;
  return {.policies = {first, second}, .uplink = "up0", .masquerade = false};
}

Senders two() { return {{7, {own_addresses(7), 2}}, {12, {own_addresses(12), 0}}}; }

const SetWords kWords{"a", "-m bpf --bytecode \"1,6 0 0 1\""};

TEST(MacMatch, ComparesTheMacWithTheAddressLessTheirDistance) {
  EXPECT_EQ(*mac_match(IpFamily::kIpv4, two()),
            "-m bpf --bytecode \"9,40 0 0 4292870150,21 0 6 624,32 0 0 12,20 0 0 172818432,7 0 0 0,"
            "32 0 0 4292870152,29 0 1 0,6 0 0 1,6 0 0 0\"");
  EXPECT_EQ(*mac_match(IpFamily::kIpv6, two()),
            "-m bpf --bytecode \"9,40 0 0 4292870150,21 0 6 624,32 0 0 20,20 0 0 0,7 0 0 0,"
            "32 0 0 4292870152,29 0 1 0,6 0 0 1,6 0 0 0\"");
}

TEST(MacMatch, DoesNotFitDesktopsThatDoNotCountOnTogether) {
  Senders senders = two();
  senders[7].addresses.ipv4 = {10, 77, 0, 8};
  EXPECT_FALSE(mac_match(IpFamily::kIpv4, senders));
  EXPECT_TRUE(mac_match(IpFamily::kIpv6, senders));
  senders = two();
  senders[7].addresses.mac[0] = 6;
  EXPECT_FALSE(mac_match(IpFamily::kIpv6, senders));
}

TEST(SetsFor, AllAndThoseOfEachPolicy) {
  const IpSets expected = {{"pnl4a", {"10.77.0.7,pnl7", "10.77.0.12,pnl12"}},
                           {"pnl4a-1", {}},
                           {"pnl4a-2", {"10.77.0.7,pnl7"}}};
  EXPECT_EQ(sets_for(IpFamily::kIpv4, kWords, two_policies(), two()), expected);
  EXPECT_TRUE(sets_for(IpFamily::kIpv6, kWords, two_policies(), two())
                  .at("pnl6a-2")
                  .contains("fd77:70::7,pnl7"));
}

TEST(ChangingSets, MakesThenTakesOutThenPutsIn) {
  const IpSets before = {{"pnl4a", {"10.77.0.1,pnl1", "10.77.0.2,pnl2"}}, {"pnl4z", {"x"}}};
  const IpSets now = {{"pnl4a", {"10.77.0.2,pnl2", "10.77.0.3,pnl3"}}, {"pnl4a-1", {}}};
  EXPECT_EQ(changing_sets_text(IpFamily::kIpv4, before, now),
            "create pnl4a-1 hash:net,iface family inet maxelem 131072\n"
            "del pnl4a 10.77.0.1,pnl1\n"
            "add pnl4a 10.77.0.3,pnl3\n");
  EXPECT_EQ(changing_sets_text(IpFamily::kIpv6, {}, {{"pnl6a", {"fd77:70::1,pnl1"}}}),
            "create pnl6a hash:net,iface family inet6 maxelem 131072\n"
            "add pnl6a fd77:70::1,pnl1\n");
  EXPECT_EQ(changing_sets_text(IpFamily::kIpv4, now, now), "");
}

TEST(ParseSavedSets, TakesOurs) {
  const auto sets = parse_saved_sets(
      "create pnl4a hash:net,iface family inet hashsize 1024 maxelem 131072 bucketsize 12 initval "
      "0x1\n"
      "add pnl4a 10.77.0.7,pnl7\n"
      "create others hash:ip family inet\n"
      "add others 1.2.3.4\n"
      "create pnl6a hash:net,iface family inet6 hashsize 1024 maxelem 131072\n");
  ASSERT_TRUE(sets) << sets.error().message();
  const IpSets expected = {{"pnl4a", {"10.77.0.7,pnl7"}}, {"pnl6a", {}}};
  EXPECT_EQ(*sets, expected);
  EXPECT_TRUE(parse_saved_sets("")->empty());
}

TEST(ParseSavedSets, MalformedTextIsAnErrorWithItsLine) {
  for (const char* text :
       {"create\n", "create pnl4a\n", "add pnl4a 10.0.0.1,pnl1\n", "\n", "garbage in garbage out\n",
        "create pnl4a hash:net,iface\nadd pnl4a\n", "create pnl4a hash:net,iface\ndel pnl4a x\n"}) {
    const auto sets = parse_saved_sets(text);
    ASSERT_FALSE(sets) << text;
    EXPECT_EQ(sets.error().code, EPROTO) << text;
  }
}

TEST(CompareSets, NamesEachDifference) {
  const IpSets meant = {{"pnl4a", {"10.77.0.7,pnl7"}}, {"pnl4a-1", {}}};
  EXPECT_TRUE(compare_sets(meant, meant).empty());
  const auto drifts = compare_sets(meant, {{"pnl4a", {"10.77.0.8,pnl8"}}, {"pnl4b", {"x"}}});
  ASSERT_EQ(drifts.size(), 3U);
  EXPECT_EQ(drifts[0], (Drift{"set pnl4a", "misses 10.77.0.7,pnl7"}));
  EXPECT_EQ(drifts[1], (Drift{"set pnl4a", "has a member that is not ours: 10.77.0.8,pnl8"}));
  EXPECT_EQ(drifts[2], (Drift{"set pnl4a-1", "is missing"}));
}

TEST(RuleTables, SetsInsteadOfTrees) {
  const auto tables = rule_tables(IpFamily::kIpv4, two_policies(), two(), &kWords);
  const RuleTable& filter = tables.at("filter");
  using Rules = std::vector<std::string>;
  EXPECT_EQ(tables.at("raw").at("PANAL-SENDER").rules,
            Rules{"-m set --match-set pnl4a src,src -m bpf --bytecode \"1,6 0 0 1\" -j ACCEPT"});
  EXPECT_EQ(filter.at("PANAL-FROM").rules,
            (Rules{"-m set --match-set pnl4a-1 src,src -g PANAL-SEND-1",
                   "-m set --match-set pnl4a-2 src,src -g PANAL-SEND-2"}));
  EXPECT_EQ(filter.at("PANAL-TO").rules,
            (Rules{"-m set --match-set pnl4a-1 dst,dst -g PANAL-BY-1",
                   "-m set --match-set pnl4a-2 dst,dst -g PANAL-BY-2"}));
  EXPECT_EQ(filter.at("PANAL-MATE-1").rules,
            (Rules{"-m set --match-set pnl4a-1 dst,dst -g PANAL-OPEN-1",
                   "-m set --match-set pnl4a-2 dst,dst -g PANAL-OPEN-1"}));
  // A desktop more changes no table.
  Senders more = two();
  more[99] = {own_addresses(99), 1};
  EXPECT_EQ(rule_tables(IpFamily::kIpv4, two_policies(), more, &kWords), tables);
  EXPECT_TRUE(rule_tables(IpFamily::kIpv4, two_policies(), {}, &kWords)
                  .at("raw")
                  .at("PANAL-SENDER")
                  .rules.empty());
}

}  // namespace
}  // namespace panal::netconfine
