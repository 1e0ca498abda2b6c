#include "netconfine/uplink/host_table.h"

#include <gmock/gmock.h>

namespace panal::netconfine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

HostTableFacts facts() {
  HostTableFacts one;
  one.device = "eth0";
  one.desktops4 = "10.77.0.0/16";
  one.desktops6 = "fd77:70::/64";
  one.guard = true;
  one.next_hops = 512;
  one.connections = 1024;
  return one;
}

TEST(HostTable, LetsOutAndAnswersBackAndNothingElse) {
  const auto text = host_table(facts());
  EXPECT_THAT(text, HasSubstr("table inet panal_uplink\ndelete table inet panal_uplink\n"));
  EXPECT_THAT(text, HasSubstr("iifname \"panal-uplink\" ip saddr != 10.77.0.0/16 counter drop"));
  EXPECT_THAT(text, HasSubstr("oifname != \"eth0\" counter drop"));
  EXPECT_THAT(text, HasSubstr("iifname \"eth0\" ct state established,related accept"));
  EXPECT_THAT(text, HasSubstr("oifname \"eth0\" ip saddr 10.77.0.0/16 masquerade"));
  EXPECT_THAT(text, HasSubstr("oifname \"eth0\" ip6 saddr fd77:70::/64 masquerade"));
  EXPECT_THAT(text, HasSubstr("ct count over 1024"));
  EXPECT_THAT(text, HasSubstr("size 512"));
}

TEST(HostTable, AHostThatForwardedBeforeGoesOnForwarding) {
  auto one = facts();
  EXPECT_THAT(host_table(one), HasSubstr("    iifname \"eth0\" counter drop\n"));
  one.guard = false;
  EXPECT_THAT(host_table(one), Not(HasSubstr("    iifname \"eth0\" counter drop\n")));
}

TEST(HostTable, WithoutIpv6NoneOfItComesIn) {
  auto one = facts();
  one.desktops6.clear();
  const auto text = host_table(one);
  EXPECT_THAT(text, HasSubstr("iifname \"panal-uplink\" meta nfproto ipv6 counter drop"));
  EXPECT_THAT(text, Not(HasSubstr("ip6")));
}

TEST(HostTable, RemembersTheHostByItsComment) {
  auto one = facts();
  EXPECT_EQ(parse_host_table_mark(host_table(one)), (HostTableMark{"eth0", true}));
  one.guard = false;
  EXPECT_EQ(parse_host_table_mark(host_table(one)), (HostTableMark{"eth0", false}));
  for (const bool guard : {false, true}) {
    const HostTableMark mark{"eth0.100", guard};
    EXPECT_EQ(parse_host_table_mark(to_string(mark)), mark) << "as an alias";
  }
}

TEST(HostTable, AStrangeCommentRemembersNothing) {
  for (const char* text :
       {"", "table inet panal_uplink {\n}\n", "comment \"made by panal, uplink by ",
        "comment \"made by panal, uplink by \"",
        "comment \"made by panal, uplink by abcdefghijklmnopqrstuvwxyz\""}) {
    EXPECT_EQ(parse_host_table_mark(text), HostTableMark{}) << text;
  }
}

TEST(TableShares, NoOneDesktopTakesItAllAndTheHostKeepsHalf) {
  EXPECT_EQ(table_shares(262144, 1024).connections, 4096U);
  EXPECT_EQ(table_shares(262144, 1024).next_hops, 512U);
  EXPECT_EQ(table_shares(0, 0).connections, 1024U) << "not known: the kernel's usual";
  EXPECT_EQ(table_shares(1000, 16).connections, 256U);
  EXPECT_EQ(table_shares(~std::uint64_t{0}, ~std::uint64_t{0}).next_hops, 4096U);
}

// --- what iptables says
// ---------------------------------------------------------------------------

constexpr const char* kDocker =
    "-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n-N DOCKER\n-N DOCKER-USER\n"
    "-A FORWARD -j DOCKER-USER\n-A FORWARD -o docker0 -j DOCKER\n-A DOCKER-USER -j RETURN\n";

TEST(ForwardFilter, DockersHostIsKnown) {
  EXPECT_EQ(parse_forward_filter("iptables-nft", false, kDocker),
            (ForwardFilter{"iptables-nft", false, true, true}));
}

TEST(ForwardFilter, AnOpenChainNeedsNothing) {
  const auto filter =
      parse_forward_filter("iptables-nft", false, "-P INPUT DROP\n-P FORWARD ACCEPT\n");
  EXPECT_FALSE(filter.drops);
  EXPECT_THAT(forward_rules(filter, "eth0"), IsEmpty());
}

TEST(ForwardFilter, AChainWithRulesMayDrop) {
  EXPECT_TRUE(
      parse_forward_filter("iptables-nft", false, "-P FORWARD ACCEPT\n-A FORWARD -j REJECT\n")
          .drops);
  EXPECT_TRUE(parse_forward_filter("iptables-nft", false, "-P FORWARD REJECT\n").drops);
}

TEST(ForwardFilter, OurOwnRulesAreNoReasonForRules) {
  const std::string text =
      "-P FORWARD ACCEPT\n-A FORWARD -i panal-uplink -o eth0 -m comment --comment panal-uplink -j "
      "ACCEPT\n";
  EXPECT_FALSE(parse_forward_filter("iptables-nft", false, text).drops);
}

TEST(ForwardFilter, NoTextIsTooStrange) {
  for (const char* text :
       {"", "\n\n", "-P", "-P FORWARD", "-A", "-A FORWARD", "-N", "-P FORWARD \n",
        "# Warning: iptables-legacy tables present\n", "\xff\xfe"}) {
    (void)parse_forward_filter("iptables", false, text);
    EXPECT_THAT(our_rules(text), IsEmpty());
  }
}

TEST(ForwardRules, GoWhereDockerLeavesThem) {
  const auto rules = forward_rules({"iptables-nft", false, true, true}, "eth0");
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].front(), "DOCKER-USER");
  const auto plain = forward_rules({"iptables-nft", false, true, false}, "eth0");
  EXPECT_EQ(plain[0].front(), "FORWARD");
  EXPECT_THAT(plain[1], ::testing::Contains("RELATED,ESTABLISHED")) << "back come only answers";
}

TEST(ForwardRules, AreFoundAgainWhateverDeviceTheyAreFor) {
  std::string text = kDocker;
  for (const auto& rule : forward_rules({"iptables-nft", false, true, true}, "eth7")) {
    text += "-A";
    for (const auto& word : rule) text += " " + word;
    text += "\n";
  }
  text += "-A FORWARD -i panal-uplink -m comment --comment other -j DROP\n-A FORWARD --comment\n";
  EXPECT_EQ(our_rules(text), forward_rules({"iptables-nft", false, true, true}, "eth7"));
}

}  // namespace
}  // namespace panal::netconfine
