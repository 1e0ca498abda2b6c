#include "netconfine/conntrack/connections.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <cstring>

#include "netconfine/conntrack/judge.h"

namespace panal::netconfine {
namespace {

constexpr Ipv4 kDesktop4 = {10, 77, 0, 7}, kServer4 = {10, 1, 0, 1};

struct Shape {
  bool tuple = true, ip = true, protocol = true;
  std::uint8_t number = IPPROTO_UDP;
  Ipv4 from = kDesktop4, to = kServer4;
  std::size_t address_bytes = 4;
};

/// A connection as the kernel lists it.
class Listed {
 public:
  explicit Listed(const Shape& shape = {}) {
    nlmsghdr* header = mnl_nlmsg_put_header(bytes_);
    header->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
    auto* netfilter = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    netfilter->nfgen_family = AF_INET;
    if (shape.tuple) {
      nlattr* tuple = mnl_attr_nest_start(header, CTA_TUPLE_ORIG);
      if (shape.ip) {
        nlattr* ip = mnl_attr_nest_start(header, CTA_TUPLE_IP);
        mnl_attr_put(header, CTA_IP_V4_SRC, shape.address_bytes, shape.from.data());
        mnl_attr_put(header, CTA_IP_V4_DST, shape.address_bytes, shape.to.data());
        mnl_attr_nest_end(header, ip);
      }
      if (shape.protocol) {
        nlattr* protocol = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);
        mnl_attr_put_u8(header, CTA_PROTO_NUM, shape.number);
        if (shape.number == IPPROTO_ICMP) {
          mnl_attr_put_u8(header, CTA_PROTO_ICMP_TYPE, 8);
        } else {
          mnl_attr_put_u16(header, CTA_PROTO_SRC_PORT, htons(40000));
          mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, htons(53));
        }
        mnl_attr_nest_end(header, protocol);
      }
      mnl_attr_nest_end(header, tuple);
    }
    mnl_attr_put_u32(header, CTA_STATUS, htonl(8));
    mnl_attr_put_u32(header, CTA_ID, htonl(99));
    mnl_attr_put_u32(header, 200, 1);  // of a kernel to come
  }
  [[nodiscard]] const nlmsghdr* get() const { return reinterpret_cast<const nlmsghdr*>(bytes_); }
  [[nodiscard]] nlmsghdr* get() { return reinterpret_cast<nlmsghdr*>(bytes_); }

 private:
  alignas(nlmsghdr) char bytes_[512] = {};
};

TEST(ParseTracked, WhoWithWhom) {
  const auto connection = parse_tracked(Listed().get());
  ASSERT_TRUE(connection) << connection.error().message();
  EXPECT_FALSE(connection->v6);
  EXPECT_EQ(connection->from4, kDesktop4);
  EXPECT_EQ(connection->to4, kServer4);
  EXPECT_EQ(connection->protocol, IPPROTO_UDP);
  EXPECT_EQ(connection->from_port, 40000);
  EXPECT_EQ(connection->to_port, 53);
  // The tuple (4 + 20 + 28 bytes) and the id (8), not the status.
  EXPECT_EQ(connection->key.size(), 60U);
}

TEST(ParseTracked, PingHasATypeAndNoPorts) {
  const auto connection = parse_tracked(Listed({.number = IPPROTO_ICMP}).get());
  ASSERT_TRUE(connection);
  EXPECT_EQ(connection->icmp_type, 8);
  EXPECT_EQ(connection->to_port, 0);
}

TEST(ParseTracked, MalformedMessagesAreErrors) {
  const std::vector<std::pair<const char*, Shape>> table = {
      {"no tuple", {.tuple = false}},
      {"no addresses", {.ip = false}},
      {"no protocol", {.protocol = false}},
      {"short addresses", {.address_bytes = 3}},
      {"no address bytes", {.address_bytes = 0}},
  };
  for (const auto& [name, shape] : table) {
    const auto connection = parse_tracked(Listed(shape).get());
    ASSERT_FALSE(connection) << name;
    EXPECT_EQ(connection.error().code, EPROTO) << name;
  }
}

TEST(ParseTracked, EveryCutIsSafe) {
  Listed listed;
  const auto whole = listed.get()->nlmsg_len;
  for (std::uint32_t length = sizeof(nlmsghdr); length < whole; ++length) {
    // Copied, so that a sanitizer sees a read past the end.
    std::vector<char> cut(length);
    std::memcpy(cut.data(), listed.get(), length);
    reinterpret_cast<nlmsghdr*>(cut.data())->nlmsg_len = length;
    (void)parse_tracked(reinterpret_cast<const nlmsghdr*>(cut.data()));
  }
}

Ruleset dns_for_one() {
  CompiledPolicy policy;
  policy.id = 1;
  policy.name = "office";
  policy.reach = {{"dns", {false, {10, 1}, 16}, false, Protocol::kUdp, {53, 53}}};
  return {.policies = {policy}, .uplink = "up0", .masquerade = false};
}

Sender desktop() { return {*AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(7), 1}; }

TEST(ConnectionJudge, ByTheRulesAsTheyAreNow) {
  const auto rules = dns_for_one();
  const ConnectionJudge judge(rules, {desktop()});
  Connection connection = *parse_tracked(Listed().get());
  EXPECT_TRUE(judge.allows(connection));
  connection.to_port = 54;
  EXPECT_FALSE(judge.allows(connection));
  connection = *parse_tracked(Listed({.number = IPPROTO_ICMP}).get());
  EXPECT_FALSE(judge.allows(connection));
  // Begun outside, it is the outside's to be allowed.
  connection = *parse_tracked(Listed({.from = kServer4, .to = kDesktop4}).get());
  EXPECT_FALSE(judge.allows(connection));
  const Ruleset nothing;
  EXPECT_FALSE(ConnectionJudge(nothing, {desktop()}).allows(*parse_tracked(Listed().get())));
}

TEST(ConnectionJudge, NobodysConnectionsGoAndLoopbackStays) {
  const auto rules = dns_for_one();
  const ConnectionJudge judge(rules, {});
  EXPECT_FALSE(judge.allows(*parse_tracked(Listed().get())));
  EXPECT_TRUE(
      judge.allows(*parse_tracked(Listed({.from = {127, 0, 0, 1}, .to = {127, 0, 0, 1}}).get())));
}

TEST(GoneAddresses, AtEitherEnd) {
  GoneAddresses gone;
  gone.add(desktop().addresses);
  EXPECT_TRUE(gone.has(*parse_tracked(Listed().get())));
  EXPECT_TRUE(gone.has(*parse_tracked(Listed({.from = kServer4, .to = kDesktop4}).get())));
  EXPECT_FALSE(gone.has(*parse_tracked(Listed({.from = kServer4}).get())));
}

}  // namespace
}  // namespace panal::netconfine
