// What is read back of the kernel's tables, and what is said of a difference.
#include "netconfine/firewall/nft/snapshot.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstring>

#include "netconfine/firewall/nft/conntrack.h"
#include "netconfine/firewall/nft/ruleset.h"

namespace panal::netconfine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A netfilter message from its parts.
class Built {
 public:
  Built(int type, std::uint8_t family) : bytes_(sizeof(nlmsghdr) + sizeof(nfgenmsg)) {
    auto* header = reinterpret_cast<nlmsghdr*>(bytes_.data());
    header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
    reinterpret_cast<nfgenmsg*>(bytes_.data() + sizeof(nlmsghdr))->nfgen_family = family;
  }
  Built& bytes(int type, const std::string& payload) {
    nlattr attribute{};
    attribute.nla_type = static_cast<std::uint16_t>(type);
    attribute.nla_len = static_cast<std::uint16_t>(sizeof(attribute) + payload.size());
    const auto at = bytes_.size();
    bytes_.resize(at + ((attribute.nla_len + 3U) & ~3U));
    std::memcpy(bytes_.data() + at, &attribute, sizeof(attribute));
    std::memcpy(bytes_.data() + at + sizeof(attribute), payload.data(), payload.size());
    return *this;
  }
  Built& text(int type, const std::string& text) { return bytes(type, text + '\0'); }
  Built& number(int type, std::uint32_t value) {
    value = htonl(value);
    return bytes(type, std::string(reinterpret_cast<const char*>(&value), sizeof(value)));
  }
  const nlmsghdr* message() {
    auto* header = reinterpret_cast<nlmsghdr*>(bytes_.data());
    header->nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
    return header;
  }

 private:
  std::vector<char> bytes_;
};

NftSnapshot meant() {
  NftSnapshot snapshot;
  snapshot.objects = {{"table inet panal", "flags 0"},
                      {"chain inet panal forward", "type filter hook 2 priority 0 policy drop"},
                      {"object inet panal to_host", "1"},
                      {"set inet panal senders4", "x"}};
  snapshot.rules = {{"chain inet panal forward", {"one", "two", "two"}}};
  snapshot.elements = {
      {NftSetId{NFPROTO_INET, "senders4"},
       {{.key = sender_key4(*AddressPool::parse("10.77.0.0/16", "fd77::/64")->of(7))}}}};
  return snapshot;
}

TEST(Snapshot, ReadsWhatTheKernelSays) {
  NftSnapshot snapshot;
  ASSERT_TRUE(add_to_snapshot(Built(NFT_MSG_NEWTABLE, NFPROTO_INET)
                                  .text(NFTA_TABLE_NAME, "panal")
                                  .number(NFTA_TABLE_FLAGS, 1)
                                  .message(),
                              snapshot));
  EXPECT_EQ(snapshot.objects.at("table inet panal"), "flags 1");
  ASSERT_TRUE(add_to_snapshot(Built(NFT_MSG_NEWSET, NFPROTO_INET)
                                  .text(NFTA_SET_TABLE, "panal")
                                  .text(NFTA_SET_NAME, "senders4")
                                  .number(NFTA_SET_FLAGS, 0)
                                  .message(),
                              snapshot));
  ASSERT_TRUE(add_to_snapshot(Built(NFT_MSG_NEWSET, NFPROTO_INET)
                                  .text(NFTA_SET_TABLE, "panal")
                                  .text(NFTA_SET_NAME, "rate")
                                  .number(NFTA_SET_FLAGS, NFT_SET_EVAL)
                                  .message(),
                              snapshot));
  // Packets fill another; of the same name, but of bridges', is one of ours; arp's has no sets.
  for (const std::uint8_t family : {std::uint8_t{NFPROTO_BRIDGE}, std::uint8_t{NFPROTO_ARP}}) {
    ASSERT_TRUE(add_to_snapshot(Built(NFT_MSG_NEWSET, family)
                                    .text(NFTA_SET_TABLE, "panal")
                                    .text(NFTA_SET_NAME, "senders4")
                                    .number(NFTA_SET_FLAGS, 0)
                                    .message(),
                                snapshot));
  }
  EXPECT_THAT(static_sets(snapshot), ElementsAre(NftSetId{NFPROTO_INET, "senders4"},
                                                 NftSetId{NFPROTO_BRIDGE, "senders4"}));
  ASSERT_TRUE(add_to_snapshot(Built(NFT_MSG_NEWCHAIN, NFPROTO_ARP)
                                  .text(NFTA_CHAIN_TABLE, "panal")
                                  .text(NFTA_CHAIN_NAME, "plain")
                                  .message(),
                              snapshot));
  EXPECT_EQ(snapshot.objects.at("chain arp panal plain"), "");
  for (const char* rule : {"a", "b"}) {
    ASSERT_TRUE(add_to_snapshot(Built(NFT_MSG_NEWRULE, NFPROTO_ARP)
                                    .text(NFTA_RULE_TABLE, "panal")
                                    .text(NFTA_RULE_CHAIN, "plain")
                                    .number(NFTA_RULE_POSITION, 9)
                                    .bytes(NFTA_RULE_EXPRESSIONS, rule)
                                    .message(),
                                snapshot));
  }
  EXPECT_THAT(snapshot.rules.at("chain arp panal plain"), SizeIs(2));
}

TEST(Snapshot, RefusesMessagesWithoutANameOrFamily) {
  NftSnapshot snapshot;
  for (const int type :
       {NFT_MSG_NEWTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWSET, NFT_MSG_NEWOBJ}) {
    const auto added = add_to_snapshot(Built(type, NFPROTO_INET).message(), snapshot);
    ASSERT_FALSE(added) << type;
    EXPECT_EQ(added.error().code, EPROTO);
  }
  nlmsghdr cut{};
  cut.nlmsg_len = sizeof(cut);
  cut.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE;
  EXPECT_FALSE(add_to_snapshot(&cut, snapshot));
  // A name without an end is as long as its attribute.
  ASSERT_TRUE(add_to_snapshot(
      Built(NFT_MSG_NEWTABLE, NFPROTO_IPV4).bytes(NFTA_TABLE_NAME, "abcd").message(), snapshot));
  EXPECT_TRUE(snapshot.objects.contains("table ip abcd"));
  // Other things are somebody else's.
  EXPECT_TRUE(add_to_snapshot(Built(NFT_MSG_NEWGEN, NFPROTO_UNSPEC).message(), snapshot));
}

struct Tampering {
  void (*with)(NftSnapshot&);
  const char* where;
  const char* what;
};

TEST(Differences, SayWhatAndWhere) {
  const Tampering kAll[] = {
      {[](NftSnapshot& s) { s.objects.erase("table inet panal"); }, "table inet panal",
       "is missing"},
      {[](NftSnapshot& s) { s.objects["table inet panal"] = "flags 1"; }, "table inet panal",
       "is now \"flags 1\", not \"flags 0\""},
      {[](NftSnapshot& s) { s.objects["set inet panal senders4"] = "y"; },
       "set inet panal senders4", "is now \"y\", not \"x\""},
      {[](NftSnapshot& s) { s.objects["object inet panal to_host"] = "2"; },
       "object inet panal to_host", "is another than it was made as"},
      {[](NftSnapshot& s) { s.objects["chain inet panal x"] = ""; }, "chain inet panal x",
       "is not ours"},
      {[](NftSnapshot& s) { s.objects["table ip x"] = ""; }, "table ip x", "is not ours"},
      {[](NftSnapshot& s) { s.rules.clear(); }, "chain inet panal forward",
       "has lost all its rules"},
      {[](NftSnapshot& s) { s.rules.begin()->second = {"one", "two"}; }, "chain inet panal forward",
       "misses a rule"},
      {[](NftSnapshot& s) { s.rules.begin()->second.emplace_back("three"); },
       "chain inet panal forward", "has a rule that is not ours"},
      {[](NftSnapshot& s) { s.rules.begin()->second = {"two", "one", "two"}; },
       "chain inet panal forward", "has its rules in another order"},
      {[](NftSnapshot& s) { s.elements.begin()->second.clear(); }, "set inet panal senders4",
       "misses pnl7"},
      {[](NftSnapshot& s) { s.elements.begin()->second.insert({.key = {1, 2}}); },
       "set inet panal senders4", "has 0102, which is not ours"},
  };
  EXPECT_THAT(differences(meant(), meant(), true), IsEmpty());
  for (const Tampering& tampering : kAll) {
    auto found = meant();
    tampering.with(found);
    EXPECT_THAT(differences(meant(), found, true),
                ElementsAre(Drift{tampering.where, tampering.what}));
  }
}

TEST(Differences, TablesOfOthersCountOnlyWhereNobodyElseMayHaveAny) {
  auto found = meant();
  found.objects["table ip docker"] = "";
  found.objects["chain ip docker x"] = "y";
  EXPECT_THAT(differences(meant(), found, false), IsEmpty());
  EXPECT_THAT(differences(meant(), found, true), SizeIs(1));
  EXPECT_THAT(foreign_tables(found),
              ElementsAre(std::pair<std::uint32_t, std::string>{NFPROTO_IPV4, "docker"}));
}

TEST(Differences, AreCutWhereThereAreTooMany) {
  auto found = meant();
  for (int i = 0; i < 100; ++i) found.objects["chain inet panal x" + std::to_string(i)] = "";
  const auto drifts = differences(meant(), found, true, 10);
  ASSERT_THAT(drifts, SizeIs(11));
  EXPECT_EQ(drifts.back().what, "90 places more");
}

TEST(Connections, RefusesOnesWithoutAddresses) {
  const auto bad = parse_connection(Built(0, AF_INET).message());
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, EPROTO);
  nlmsghdr cut{};
  cut.nlmsg_len = sizeof(cut);
  EXPECT_FALSE(parse_connection(&cut));
}

}  // namespace
}  // namespace panal::netconfine
