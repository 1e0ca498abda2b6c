// What stays of the kernel's tables when rules are exchanged.
#include "netconfine/firewall/nft/exchange.h"

#include <gtest/gtest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstring>
#include <map>

#include "netconfine/policy/prefix.h"

namespace panal::netconfine {
namespace {

Ruleset two_policies() {
  Ruleset rules;
  rules.uplink = "up0";
  for (std::uint32_t id = 1; id <= 2; ++id) {
    CompiledPolicy policy;
    policy.id = id;
    policy.name = id == 1 ? "one" : "two";
    policy.reach.push_back({.service = "dns", .peer = *parse_prefix("10.1.0.53"), .ports = {}});
    rules.policies.push_back(policy);
  }
  return rules;
}

Sender desktop(DesktopId id, std::uint32_t policy) {
  return {*AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id), policy};
}

// The kernel, had it been given the plan.
NftSnapshot holding(const NftPlan& plan) {
  NftSnapshot snapshot;
  for (const std::uint32_t family : {NFPROTO_INET, NFPROTO_ARP, NFPROTO_BRIDGE}) {
    if (!has_table(plan, family)) continue;
    snapshot.objects[nft_name("table", family, kNftTable)] = describe_table(0);
  }
  for (const auto& [family, chain] : plan.base_chains) {
    snapshot.objects[nft_name("chain", family, kNftTable, chain.name)] = describe_hook(chain);
  }
  for (const auto& [family, chain] : plan.chains) {
    snapshot.objects[nft_name("chain", family, kNftTable, chain)] = "";
  }
  for (const auto& [family, name] : plan.counters) {
    snapshot.objects[nft_name("object", family, kNftTable, name)] = "1";
  }
  for (const NftSet& set : plan.sets) {
    snapshot.objects[nft_name("set", set.family, kNftTable, set.name)] =
        describe_set(shape_of(set));
    if (!set.dynamic) snapshot.elements[id_of(set)];
  }
  for (const auto& [set, elements] : plan.elements) {
    snapshot.elements[set].insert(elements.begin(), elements.end());
  }
  return snapshot;
}

// How many requests of each type a transaction has.
std::map<int, int> types(const std::vector<Message>& messages) {
  std::map<int, int> count;
  for (const Message& message : messages) {
    nlmsghdr header{};
    std::memcpy(&header, message.bytes.data(), sizeof(header));
    ++count[header.nlmsg_type & 0xff];
  }
  return count;
}

int of_type(const std::vector<Message>& messages, int type) { return types(messages)[type]; }

std::map<int, int> exchanged(const Ruleset& before, const std::vector<Sender>& senders_before,
                             const Ruleset& after, const std::vector<Sender>& senders_after) {
  const auto old_plan = plan(before, senders_before), new_plan = plan(after, senders_after);
  const auto found = holding(*old_plan);
  EXPECT_TRUE(same_hooks(found, *new_plan));
  return types(*exchange(found, *new_plan));
}

TEST(NftExchange, WhatIsTheSameStays) {
  const std::vector<Sender> senders = {desktop(1, 1), desktop(2, 2)};
  auto count = exchanged(two_policies(), senders, two_policies(), senders);
  EXPECT_EQ(count[NFT_MSG_NEWSETELEM], 0);
  EXPECT_EQ(count[NFT_MSG_DELSETELEM], 0);
  EXPECT_EQ(count[NFT_MSG_NEWSET], 0);
  EXPECT_EQ(count[NFT_MSG_DELSET], 0);
  EXPECT_EQ(count[NFT_MSG_NEWCHAIN], 0);
  EXPECT_EQ(count[NFT_MSG_DELCHAIN], 0);
  EXPECT_EQ(count[NFT_MSG_DELRULE], 2) << "one for each table";
  EXPECT_GT(count[NFT_MSG_NEWRULE], 20);
  EXPECT_EQ(count[NFT_MSG_NEWOBJ], count[NFT_MSG_DELOBJ]) << "counters begin at 0";
}

TEST(NftExchange, ADesktopsOtherPolicyIsOneElement) {
  auto count = exchanged(two_policies(), {desktop(1, 1), desktop(2, 2)}, two_policies(),
                         {desktop(1, 1), desktop(2, 1)});
  EXPECT_EQ(count[NFT_MSG_DELSETELEM], 1);
  EXPECT_EQ(count[NFT_MSG_NEWSETELEM], 1);
  EXPECT_EQ(count[NFT_MSG_NEWSET], 0);
}

TEST(NftExchange, APolicyThatGoesTakesItsChainsAlong) {
  auto fewer = two_policies();
  fewer.policies.pop_back();
  auto count = exchanged(two_policies(), {desktop(1, 1)}, fewer, {desktop(1, 1)});
  EXPECT_EQ(count[NFT_MSG_DELCHAIN], 6);  // out, in, reach, reached, opens, opened
  EXPECT_EQ(count[NFT_MSG_NEWCHAIN], 0);
  EXPECT_EQ(count[NFT_MSG_DELSETELEM], 2) << "of policy_out and policy_in";
  EXPECT_EQ(count[NFT_MSG_DELSET], 1) << "what counts its connections";
}

TEST(NftExchange, AChangedServiceIsASetMadeAnew) {
  auto changed = two_policies();
  for (auto& policy : changed.policies) policy.reach[0].peer = *parse_prefix("10.1.0.54");
  auto count = exchanged(two_policies(), {}, changed, {});
  EXPECT_EQ(count[NFT_MSG_DELSET], 1);
  EXPECT_EQ(count[NFT_MSG_NEWSET], 1);
}

TEST(NftExchange, AnotherLimitIsCountedAnew) {
  auto changed = two_policies();
  changed.policies[0].limits.connections = 9;
  auto count = exchanged(two_policies(), {}, changed, {});
  EXPECT_EQ(count[NFT_MSG_DELSET], 1);
  EXPECT_EQ(count[NFT_MSG_NEWSET], 1);
}

TEST(NftExchange, ASetOfAnotherKindIsMadeAnew) {
  const auto wanted = plan(two_policies(), std::vector<Sender>{desktop(1, 1)});
  auto found = holding(*wanted);
  found.objects[nft_name("set", NFPROTO_INET, kNftTable, "policy_of")] = describe_set({});
  const auto messages = exchange(found, *wanted);
  ASSERT_TRUE(messages);
  EXPECT_EQ(of_type(*messages, NFT_MSG_DELSET), 1);
  EXPECT_EQ(of_type(*messages, NFT_MSG_NEWSET), 1);
  EXPECT_EQ(of_type(*messages, NFT_MSG_NEWSETELEM), 1);
}

TEST(NftExchange, WhatIsStrangeGoes) {
  const auto wanted = plan(two_policies(), std::vector<Sender>{desktop(1, 1)});
  auto found = holding(*wanted);
  found.objects["chain inet panal strange"] = "";
  found.objects["set inet panal strange"] = "x";
  found.elements[{NFPROTO_INET, "strange"}];
  found.elements[{NFPROTO_INET, "senders4"}].insert({.key = NftKey(28, 1)});
  found.objects["object inet panal strange"] = "2";
  const auto messages = exchange(found, *wanted);
  ASSERT_TRUE(messages);
  EXPECT_EQ(of_type(*messages, NFT_MSG_DELCHAIN), 1);
  EXPECT_EQ(of_type(*messages, NFT_MSG_DELSET), 1);
  EXPECT_EQ(of_type(*messages, NFT_MSG_DELSETELEM), 1);
}

Ruleset with_a_bridge() {
  auto rules = two_policies();
  CompiledPolicy& policy = rules.policies[1];
  policy.group = 1;
  policy.group_name = "room";
  policy.bridged = true;
  return rules;
}

TEST(NftExchange, TheTableOfBridgesStaysWhereItIsTheSame) {
  const std::vector<Sender> senders = {desktop(1, 1), desktop(2, 2)};
  auto count = exchanged(with_a_bridge(), senders, with_a_bridge(), senders);
  EXPECT_EQ(count[NFT_MSG_NEWSETELEM], 0);
  EXPECT_EQ(count[NFT_MSG_DELSETELEM], 0);
  EXPECT_EQ(count[NFT_MSG_NEWSET], 0);
  EXPECT_EQ(count[NFT_MSG_NEWTABLE], 0);
  EXPECT_EQ(count[NFT_MSG_DELTABLE], 0);
  EXPECT_EQ(count[NFT_MSG_DELRULE], 3) << "one for each table";
  EXPECT_EQ(count[NFT_MSG_NEWOBJ], count[NFT_MSG_DELOBJ]);
  // Who moves out of the group loses the port's entries, and no other's.
  count = exchanged(with_a_bridge(), senders, with_a_bridge(), {desktop(1, 1), desktop(2, 1)});
  EXPECT_EQ(count[NFT_MSG_NEWSET], 0);
  EXPECT_EQ(count[NFT_MSG_DELSETELEM], 6) << "four of the port, policy_of and the group's links";
}

TEST(NftExchange, TheTableOfBridgesComesAndGoesWithoutTouchingTheOthers) {
  const std::vector<Sender> senders = {desktop(1, 1)};
  const auto without = plan(two_policies(), senders), with = plan(with_a_bridge(), senders);
  const auto comes = exchange(holding(*without), *with), goes = exchange(holding(*with), *without);
  ASSERT_TRUE(comes && goes);
  EXPECT_TRUE(same_hooks(holding(*without), *with));
  EXPECT_EQ(of_type(*comes, NFT_MSG_DELTABLE), 1) << "what may be there";
  EXPECT_EQ(of_type(*comes, NFT_MSG_NEWTABLE), 2);
  EXPECT_EQ(of_type(*goes, NFT_MSG_DELTABLE), 1);
  EXPECT_EQ(of_type(*goes, NFT_MSG_NEWTABLE), 0);
  EXPECT_EQ(of_type(*goes, NFT_MSG_DELRULE), 2) << "those of bridges go with their table";
  // One that somebody has spoilt is made anew, and it alone.
  auto spoilt = holding(*with);
  spoilt.objects["chain bridge panal forward"] = "";
  EXPECT_TRUE(same_hooks(spoilt, *with));
  const auto mended = exchange(spoilt, *with);
  ASSERT_TRUE(mended);
  EXPECT_EQ(of_type(*mended, NFT_MSG_NEWTABLE), 2);
  EXPECT_EQ(of_type(*mended, NFT_MSG_DELRULE), 2);
}

struct OtherHooks {
  const char* what;
  void (*with)(NftSnapshot&);
};

TEST(NftExchange, NeedsTheSameHooks) {
  const auto wanted = plan(two_policies(), {});
  EXPECT_TRUE(same_hooks(holding(*wanted), *wanted));
  const OtherHooks kAll[] = {
      {"no table", [](NftSnapshot& s) { s.objects.erase("table arp panal"); }},
      {"a dormant table",
       [](NftSnapshot& s) { s.objects["table inet panal"] = describe_table(1); }},
      {"no chain", [](NftSnapshot& s) { s.objects.erase("chain inet panal forward"); }},
      {"another policy",
       [](NftSnapshot& s) {
         s.objects["chain inet panal forward"] = describe_hook(NftBaseChain{.name = "forward",
                                                                            .type = "filter",
                                                                            .hook = NF_INET_FORWARD,
                                                                            .priority = 0,
                                                                            .drops = false});
       }},
      {"one more", [](NftSnapshot& s) { s.objects["chain inet panal x"] = "type filter hook 2"; }},
  };
  for (const OtherHooks& other : kAll) {
    auto found = holding(*wanted);
    other.with(found);
    EXPECT_FALSE(same_hooks(found, *wanted)) << other.what;
  }
  auto masked = two_policies();
  masked.masquerade = true;
  EXPECT_FALSE(same_hooks(holding(*wanted), *plan(masked, {})));
}

}  // namespace
}  // namespace panal::netconfine
