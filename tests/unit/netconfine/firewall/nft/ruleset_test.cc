// What is asked of the kernel for a set of policies.
#include "netconfine/firewall/nft/ruleset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cstring>

#include "netconfine/firewall/nft/policy_chains.h"
#include "netconfine/firewall/nft/services.h"
#include "netconfine/policy/prefix.h"

namespace panal::netconfine {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

Addresses addresses(DesktopId id) {
  return *AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id);
}

Allow line(const char* service, const char* peer, Protocol protocol = Protocol::kAny,
           PortRange ports = {}, bool except = false) {
  return {service, *parse_prefix(peer), except, protocol, ports};
}

CompiledPolicy policy(std::uint32_t id, const char* name) {
  CompiledPolicy policy;
  policy.id = id;
  policy.name = name;
  return policy;
}

Ruleset office() {
  Ruleset rules;
  rules.uplink = "up0";
  rules.policies = {policy(1, "office"), policy(2, "room")};
  rules.policies[0].reach = {line("dns", "10.1.0.53", Protocol::kUdp, {53, 53})};
  rules.policies[1].group = 3;
  return rules;
}

NftSetId inet(const std::string& name) { return {NFPROTO_INET, name}; }

std::vector<std::string> names(const std::vector<NftSet>& sets) {
  std::vector<std::string> all;
  for (const NftSet& set : sets) all.push_back(set.name);
  return all;
}

std::uint16_t type_of(const Message& message) {
  nlmsghdr header{};
  std::memcpy(&header, message.bytes.data(), sizeof(header));
  return header.nlmsg_type;
}

TEST(NftPlan, NothingAllowedWantsNoConnectionsAndNoMaps) {
  const auto made = plan({}, {});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_FALSE(made->tracks);
  EXPECT_THAT(made->chains, IsEmpty());
  EXPECT_THAT(names(made->sets), ElementsAre("senders4", "senders6", "ipv6_extensions"));
  for (const auto& [family, chain] : made->base_chains) EXPECT_TRUE(chain.drops) << chain.name;
}

TEST(NftPlan, TheSameSetGivesTheSameBytes) {
  const std::vector<Sender> senders = {{addresses(1), 1}, {addresses(2), 2}};
  const auto one = contents(*plan(office(), senders)), two = contents(*plan(office(), senders));
  ASSERT_EQ(one->size(), two->size());
  for (std::size_t i = 0; i < one->size(); ++i) EXPECT_EQ((*one)[i].bytes, (*two)[i].bytes) << i;
}

TEST(NftPlan, ChainsBeforeRulesAndElementsLast) {
  const std::vector<Sender> senders = {{addresses(1), 1}};
  const auto all = contents(*plan(office(), senders));
  ASSERT_TRUE(all);
  int stage = 0;
  for (const Message& message : *all) {
    constexpr int kSubsystem = NFNL_SUBSYS_NFTABLES << 8;
    const int type = type_of(message) & ~kSubsystem;
    const int now = type == NFT_MSG_NEWSETELEM ? 2 : type == NFT_MSG_NEWRULE ? 1 : 0;
    EXPECT_GE(now, stage) << message.what;
    stage = now;
  }
  EXPECT_EQ(stage, 2);
}

TEST(NftPlan, MasqueradeIsAChainOfItsOwn) {
  auto rules = office();
  const auto count = [&] { return plan(rules, {})->base_chains.size(); };
  const auto without = count();
  rules.masquerade = true;
  EXPECT_EQ(count(), without + 1);
  rules.uplink.clear();
  EXPECT_EQ(count(), without) << "nothing leads out";
}

TEST(NftPlan, RulesDoNotGrowWithDesktops) {
  std::vector<Sender> senders;
  const auto few = plan(office(), senders)->rules.size();
  for (DesktopId id = 1; id <= 300; ++id) senders.push_back({addresses(id), id % 3 == 0 ? 0U : 1U});
  EXPECT_EQ(plan(office(), senders)->rules.size(), few);
}

struct BadRules {
  const char* what;
  void (*spoil)(Ruleset&);
};

TEST(NftPlan, RefusesRulesThatCannotBe) {
  const BadRules kAll[] = {
      {"a desktop's link as uplink", [](Ruleset& rules) { rules.uplink = "pnl7"; }},
      {"what looks like one", [](Ruleset& rules) { rules.uplink = "pnlx"; }},
      {"a pattern", [](Ruleset& rules) { rules.uplink = "up*"; }},
      {"too long a name", [](Ruleset& rules) { rules.uplink = "abcdefghijklmnop"; }},
      {"number 0", [](Ruleset& rules) { rules.policies[0].id = 0; }},
      {"number 65536", [](Ruleset& rules) { rules.policies[0].id = 65'536; }},
      {"a number twice", [](Ruleset& rules) { rules.policies[0].id = 2; }},
  };
  for (const BadRules& bad : kAll) {
    auto rules = office();
    bad.spoil(rules);
    const auto made = plan(rules, {});
    ASSERT_FALSE(made) << bad.what;
    EXPECT_EQ(made.error().code, EINVAL) << bad.what;
  }
  const std::vector<Sender> stranger = {{addresses(1), 9}};
  const auto made = plan(office(), stranger);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message(), ::testing::HasSubstr("pnl1"));
}

TEST(NftPlan, APolicysNumberLeadsToItsChains) {
  const auto made = *plan(office(), {});
  const auto& out = made.elements.at(inet("policy_out"));
  ASSERT_EQ(out.size(), 2U);
  EXPECT_THAT(out.front().chain, ::testing::MatchesRegex("p[0-9a-f]{8}_office_out"));
  ASSERT_EQ(made.elements.at(inet("policy_peers")).size(), 1U);
  EXPECT_EQ(made.elements.at(inet("policy_peers")).front().chain,
            chains_of(office().policies[1]).peers);
}

TEST(NftElements, FollowFromThePolicy) {
  const auto rules = office();
  const auto none = *elements_of(rules, {addresses(1), 0});
  EXPECT_EQ(none.size(), 2U);
  const auto some = *elements_of(rules, {addresses(1), 1});
  ASSERT_TRUE(some.contains(inet("policy_of")));
  EXPECT_EQ(link_of_key(some.at(inet("policy_of")).front().key), "pnl1");
  const std::uint32_t one = number_of(rules.policies[0]);
  EXPECT_EQ(std::memcmp(some.at(inet("policy_of")).front().data.data(), &one, sizeof(one)), 0);
  const NftSetId room = inet(chains_of(rules.policies[1]).group);
  EXPECT_FALSE(some.contains(room));
  const auto group = *elements_of(rules, {addresses(1), 2});
  EXPECT_EQ(link_of_key(group.at(room).front().key), "pnl1");
}

TEST(NftPlan, OnlyAGroupWithABridgeHasATableOfBridges) {
  auto rules = office();
  const auto without = *plan(rules, std::vector<Sender>{{addresses(1), 2}});
  EXPECT_FALSE(has_table(without, NFPROTO_BRIDGE));
  for (const NftSet& set : without.sets) EXPECT_EQ(set.family, kInetFamily) << set.name;
  for (const auto& [set, elements] : without.elements)
    EXPECT_EQ(set.family, kInetFamily) << set.name;

  rules.policies[1].bridged = true;
  const auto with = *plan(rules, std::vector<Sender>{{addresses(1), 2}, {addresses(2), 1}});
  EXPECT_TRUE(has_table(with, NFPROTO_BRIDGE));
  EXPECT_TRUE(has_table(with, NFPROTO_INET) && has_table(with, NFPROTO_ARP));
  const NftSetId ports{NFPROTO_BRIDGE, "ports4"};
  ASSERT_EQ(with.elements.at(ports).size(), 1U) << "of desktop 1, and once";
  EXPECT_EQ(link_of_key(with.elements.at(ports).front().key), "png1");
  const NftSetId extensions{NFPROTO_BRIDGE, "ipv6_extensions"};
  EXPECT_EQ(with.elements.at(extensions).size(), with.elements.at(inet("ipv6_extensions")).size());
  EXPECT_TRUE(elements_of(rules, {addresses(1), 2})->contains(ports));
  EXPECT_FALSE(elements_of(rules, {addresses(2), 1})->contains(ports));
}

TEST(NftElements, ASendersKeyIsLinkMacAndAddressInWholeRegisters) {
  const NftKey four = sender_key4(addresses(258)), six = sender_key6(addresses(258));
  ASSERT_EQ(four.size(), 28U);
  ASSERT_EQ(six.size(), 40U);
  EXPECT_EQ(link_of_key(four), "pnl258");
  EXPECT_THAT(NftKey(four.begin() + 16, four.end()),
              ElementsAre(2, 0x70, 0, 0, 1, 2, 0, 0, 10, 77, 1, 2));
}

TEST(ConnectionMark, FollowsFromWhatTheVerdictFollowsFrom) {
  auto rules = office();
  const auto mark = [&] { return connection_mark(rules, rules.policies[0]); };
  const auto before = mark();
  EXPECT_NE(before, 0U);
  rules.policies[0].limits.connections = 7;
  rules.policies[0].log = NetLog::kAll;
  EXPECT_EQ(mark(), before) << "what is open goes on";
  rules.policies[0].reach[0].ports.last = 54;
  EXPECT_NE(mark(), before);
  rules = office();
  rules.policies[0].reached_by = rules.policies[0].reach;
  EXPECT_NE(mark(), before);
  rules = office();
  std::swap(rules.policies[0].reach, rules.policies[0].reached_by);
  EXPECT_NE(mark(), before);
  rules = office();
  rules.uplink = "up1";
  EXPECT_NE(mark(), before);
}

TEST(ServiceSets, ALineIsARangeOfAddressesProtocolsAndPorts) {
  ServiceSets services;
  const std::vector<Allow> lines = {line("web", "10.0.0.0/9", Protocol::kTcp, {80, 443})};
  const auto uses = services.use(lines);
  ASSERT_EQ(uses.size(), 1U);
  EXPECT_EQ(uses[0].set, "service_web4");
  EXPECT_EQ(uses[0].except, "");
  const auto& element = services.elements().at("service_web4").front();
  EXPECT_THAT(element.key, ElementsAre(10, 0, 0, 0, 6, 0, 0, 0, 0, 80, 0, 0));
  EXPECT_THAT(element.last, ElementsAre(10, 127, 255, 255, 6, 0, 0, 0, 1, 187, 0, 0));
}

TEST(ServiceSets, PingIsTheTypeOfItsFamily) {
  ServiceSets services;
  const std::vector<Allow> lines = {line("ping", "10.0.0.1", Protocol::kIcmp),
                                    line("ping", "fd00::1", Protocol::kIcmp)};
  EXPECT_EQ(services.use(lines).size(), 2U);
  const auto& four = services.elements().at("service_ping4").front();
  EXPECT_THAT(four.key, ElementsAre(10, 0, 0, 1, 1, 0, 0, 0, 8, 0, 0, 0));
  EXPECT_EQ(four.last, four.key);
  const auto& six = services.elements().at("service_ping6").front();
  EXPECT_EQ(six.key[16], 58);
  EXPECT_EQ(six.key[20], 128);
}

TEST(ServiceSets, WhereAllIsAllowedNothingElseIsSaid) {
  ServiceSets services;
  const std::vector<Allow> lines = {line("x", "10.0.0.1"),
                                    line("x", "10.0.0.1", Protocol::kTcp, {80, 80}),
                                    line("x", "10.0.0.2", Protocol::kTcp, {80, 80})};
  services.use(lines);
  EXPECT_EQ(services.elements().at("service_x4").size(), 2U);
}

TEST(ServiceSets, ExceptionsTakeAwayWhateverTheProtocol) {
  ServiceSets services;
  const std::vector<Allow> lines = {line("x", "10.1.0.0/16", Protocol::kAny, {}, true),
                                    line("x", "10.0.0.0/8", Protocol::kTcp, {80, 80})};
  const auto uses = services.use(lines);
  ASSERT_EQ(uses.size(), 1U);
  EXPECT_EQ(uses[0].except, "service_x4_not");
  const auto& element = services.elements().at("service_x4_not").front();
  EXPECT_EQ(element.last[4], 255);
}

TEST(ServiceSets, PoliciesShareTheSameServiceAndNotAnotherOfItsName) {
  ServiceSets services;
  const std::vector<Allow> lines = {line("dns", "10.0.0.1")}, others = {line("dns", "10.0.0.2")};
  EXPECT_EQ(services.use(lines)[0].set, "service_dns4");
  EXPECT_EQ(services.use(lines)[0].set, "service_dns4");
  EXPECT_EQ(services.use(others)[0].set, "service_dns4_2");
  EXPECT_EQ(services.sets().size(), 2U);
}

TEST(Messages, MoreElementsThanFitGoIntoAnother) {
  std::vector<NftElement> elements;
  for (std::uint32_t i = 0; i < 600; ++i) {
    NftKey key(16, 0);
    std::memcpy(key.data(), &i, sizeof(i));
    elements.push_back({.key = key, .chain = "p1_office_out"});
  }
  std::vector<Message> messages;
  ASSERT_TRUE(append_elements(messages, NFT_MSG_NEWSETELEM, NFPROTO_INET, "policy_out", elements));
  ASSERT_EQ(messages.size(), 3U);
  for (const Message& message : messages) EXPECT_LT(message.bytes.size(), 0xffffU);
  const auto too_many = change_elements(NFT_MSG_NEWSETELEM, NFPROTO_INET, "x", elements);
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().code, E2BIG);
}

TEST(Messages, AnElementIsReadBackAsItWasWritten) {
  const NftElement kAll[] = {{.key = NftKey(16, 7)},
                             {.key = NftKey(16, 7), .chain = "p1_office_out"},
                             {.key = NftKey(12, 1), .last = NftKey(12, 9)},
                             {.key = NftKey(16, 1), .data = NftKey(4, 9)}};
  for (const NftElement& element : kAll) {
    const auto message = change_elements(NFT_MSG_NEWSETELEM, NFPROTO_INET, "x", {element});
    ASSERT_TRUE(message);
    EXPECT_THAT(parse_elements(reinterpret_cast<const nlmsghdr*>(message->bytes.data())),
                ElementsAre(element));
  }
}

TEST(Messages, ABatchHasMarksAndOnTheFirstItsGeneration) {
  std::vector<Message> one;
  one.push_back(*add_table(NFPROTO_INET));
  const auto plain = as_batch(one), guarded = as_batch(one, 7);
  ASSERT_EQ(plain.size(), 3U);
  EXPECT_TRUE(plain.front().mark && plain.back().mark && !plain[1].mark);
  EXPECT_EQ(guarded.front().bytes.size(), plain.front().bytes.size() + 8);
  EXPECT_EQ(guarded.back().bytes, plain.back().bytes);
}

}  // namespace
}  // namespace panal::netconfine
