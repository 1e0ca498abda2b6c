// What is asked of the kernel for groups' bridges.
#include "netconfine/firewall/nft/bridge_ruleset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstring>

#include "netconfine/bridge/shard.h"
#include "netconfine/firewall/nft/ruleset.h"
#include "netconfine/policy/group_number.h"

namespace panal::netconfine {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

Addresses addresses(DesktopId id) {
  return *AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id);
}

/// Policy 1 has no group, 2 a routed one, 3 and 4 one with a bridge.
Ruleset rules_with_a_bridge() {
  Ruleset rules;
  const char* const groups[] = {"", "hall", "room", "room"};
  for (std::uint32_t id = 1; id <= 4; ++id) {
    CompiledPolicy policy;
    policy.id = id;
    policy.name = "p" + std::to_string(id);
    policy.tenant = "acme";
    policy.group_name = groups[id - 1];
    policy.group = id == 1 ? 0U : id == 2 ? 1U : 2U;
    policy.bridged = id > 2;
    rules.policies.push_back(policy);
  }
  return rules;
}

NftKey number(std::uint32_t value) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(&value);
  return {first, first + sizeof(value)};
}

std::uint8_t family_of(const Message& message) {
  return std::to_integer<std::uint8_t>(message.bytes.at(NLMSG_HDRLEN));
}

int type_of(const Message& message) {
  nlmsghdr header{};
  std::memcpy(&header, message.bytes.data(), sizeof(header));
  return header.nlmsg_type & 0xff;
}

TEST(BridgeElementsOf, ADesktopAreItsPortMacAndAddresses) {
  const Ruleset rules = rules_with_a_bridge();
  const auto elements = bridge_elements_of(rules, {addresses(258), 3});
  ASSERT_TRUE(elements) << elements.error().message();
  ASSERT_THAT(*elements, SizeIs(4));
  const NftKey& four = elements->at("ports4").front().key;
  ASSERT_EQ(four.size(), 28U);
  EXPECT_EQ(link_of_key(four), "png258");
  EXPECT_THAT(NftKey(four.begin() + 16, four.end()),
              ElementsAre(2, 0x70, 0, 0, 1, 2, 0, 0, 10, 77, 1, 2));
  EXPECT_EQ(elements->at("ports6").front().key.size(), 40U);
  const NftKey group = number(group_number("room", "acme"));
  EXPECT_EQ(link_of_key(elements->at("group_of").front().key), "png258");
  EXPECT_EQ(elements->at("group_of").front().data, group);
  const NftKey& port = elements->at("group_ports").front().key;
  ASSERT_EQ(port.size(), 20U);
  EXPECT_EQ(NftKey(port.begin() + 16, port.end()), group);
}

TEST(BridgeElementsOf, NobodyElseHasAny) {
  const Ruleset rules = rules_with_a_bridge();
  for (const std::uint32_t policy : {0U, 1U, 2U}) {
    const auto elements = bridge_elements_of(rules, {addresses(1), policy});
    ASSERT_TRUE(elements) << policy;
    EXPECT_THAT(*elements, IsEmpty()) << policy;
  }
  const auto unknown = bridge_elements_of(rules, {addresses(1), 9});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, EINVAL);
}

TEST(BridgeTable, DropsWhatReachesItsEndAndDoesNotGrowWithDesktops) {
  const Ruleset rules = rules_with_a_bridge();
  const auto few = bridge_table(rules, {});
  ASSERT_TRUE(few) << few.error().message();
  EXPECT_THAT(few->base_chains, SizeIs(4));
  for (const NftBaseChain& chain : few->base_chains) EXPECT_TRUE(chain.drops) << chain.name;
  EXPECT_FALSE(few->elements.contains("ports4"));
  std::vector<Sender> senders;
  for (DesktopId id = 1; id <= 300; ++id) senders.push_back({addresses(id), 3});
  const auto many = bridge_table(rules, senders);
  ASSERT_TRUE(many) << many.error().message();
  EXPECT_EQ(many->rules.size(), few->rules.size());
  EXPECT_THAT(many->elements.at("ports4"), SizeIs(300));
}

TEST(BridgeTable, TrunksAreOfTheirGroupAndEachOnce) {
  const auto table = bridge_table(rules_with_a_bridge(), {});
  ASSERT_TRUE(table);
  const std::uint32_t room = group_number("room", "acme");
  constexpr std::size_t kEnds = 2 * (kMostShards - 1);
  EXPECT_THAT(table->elements.at("group_of"), SizeIs(kEnds));
  EXPECT_THAT(table->elements.at("group_ports"), SizeIs(kEnds));
  std::vector<std::string> links;
  for (const NftElement& element : table->elements.at("group_of")) {
    links.push_back(link_of_key(element.key));
    EXPECT_EQ(element.data, number(room));
  }
  EXPECT_THAT(links, Contains(trunk_name({room, 1})));
  EXPECT_THAT(links, Contains(hub_trunk_name({room, kMostShards - 1})));
  EXPECT_THAT(links, Not(Contains(trunk_name({room, 0})))) << "the hub has none of its own";
  const auto nothing = bridge_table({}, {});
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(nothing->elements.contains("group_of"));
}

TEST(BridgeTable, IsOfTheBridgeFamilyWithElementsLast) {
  const std::vector<Sender> senders = {{addresses(1), 3}};
  const auto table = bridge_table(rules_with_a_bridge(), senders);
  ASSERT_TRUE(table);
  const auto inside = bridge_contents(*table), anew = new_bridge_table(*table);
  const auto cut = bridge_cut_off("panal_cut");
  ASSERT_TRUE(inside && anew && cut);
  for (const auto* messages : {&*inside, &*anew, &*cut})
    for (const Message& message : *messages)
      EXPECT_EQ(family_of(message), std::uint8_t{NFPROTO_BRIDGE}) << message.what;
  int stage = 0;
  for (const Message& message : *inside) {
    const int type = type_of(message);
    const int now = type == NFT_MSG_NEWSETELEM ? 2 : type == NFT_MSG_NEWRULE ? 1 : 0;
    EXPECT_GE(now, stage) << message.what;
    stage = now;
  }
  EXPECT_EQ(stage, 2);
  EXPECT_EQ(anew->size(), 3 + table->base_chains.size());
  EXPECT_EQ(cut->size(), 5U);
  const auto again = bridge_contents(*bridge_table(rules_with_a_bridge(), senders));
  ASSERT_EQ(again->size(), inside->size());
  for (std::size_t i = 0; i < again->size(); ++i)
    EXPECT_EQ((*again)[i].bytes, (*inside)[i].bytes) << "the same set gives the same bytes";
}

}  // namespace
}  // namespace panal::netconfine
