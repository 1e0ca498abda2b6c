#include "netconfine/uplink/uplink_messages.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <cstring>

#include "netconfine/link/find_link.h"
#include "netconfine/policy/prefix.h"

namespace panal::netconfine {
namespace {

std::span<const std::byte> payload(const Message& message) {
  return std::span(message.bytes).subspan(NLMSG_HDRLEN);
}

TEST(Routes, ComeBackAsTheyWereSent) {
  const auto router4 = *parse_prefix("169.254.1.3");
  const auto router6 = *parse_prefix("fe80::3");
  for (const char* text : {"10.77.0.0/16", "0.0.0.0/0", "192.168.1.5", "fd77:70::/64", "::/0"}) {
    const auto to = *parse_prefix(text);
    for (const bool over_router : {false, true}) {
      const auto message = put_route(7, to, over_router ? (to.v6 ? &router6 : &router4) : nullptr);
      const auto found = parse_route(payload(message));
      ASSERT_TRUE(found && *found) << text;
      EXPECT_EQ((*found)->to, to) << text;
      EXPECT_EQ((*found)->index, 7);
      EXPECT_EQ((*found)->table, std::uint32_t{RT_TABLE_MAIN});
      EXPECT_EQ((*found)->over_router, over_router);
    }
  }
}

TEST(Routes, NoCutAndNoLengthIsBelieved) {
  const auto router = *parse_prefix("169.254.1.3");
  const auto message = put_route(7, *parse_prefix("10.77.0.0/16"), &router);
  const auto whole = payload(message);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<long>(length));
    const auto found = parse_route(cut);
    if (length < sizeof(rtmsg)) {
      EXPECT_FALSE(found) << length;
    }
  }
  for (std::size_t at = 0; at + 2 <= whole.size(); ++at) {
    for (const unsigned length : {0U, 1U, 3U, 5U, 0x7fffU, 0xffffU}) {
      const auto lie = static_cast<std::uint16_t>(length);
      std::vector<std::byte> bytes(whole.begin(), whole.end());
      std::memcpy(bytes.data() + at, &lie, sizeof(lie));
      (void)parse_route(bytes);
      (void)parse_link(bytes);
    }
  }
}

TEST(Routes, AnImpossibleLengthIsAnError) {
  auto message = put_route(7, *parse_prefix("10.77.0.0/16"), nullptr);
  message.bytes[NLMSG_HDRLEN + offsetof(rtmsg, rtm_dst_len)] = std::byte{33};
  const auto found = parse_route(payload(message));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, EPROTO);
}

TEST(Routes, WhatLeadsNowhereIsNone) {
  auto message = put_route(7, *parse_prefix("10.77.0.0/16"), nullptr);
  message.bytes[NLMSG_HDRLEN + offsetof(rtmsg, rtm_type)] = std::byte{RTN_BLACKHOLE};
  const auto found = parse_route(payload(message));
  ASSERT_TRUE(found);
  EXPECT_FALSE(*found);
}

TEST(Links, ANameAnAliasAndAKindAreRead) {
  const auto message = add_macvlan(3, "uplink0", {0x0a, 0x70, 1, 2, 3, 4}, 9);
  const auto link = parse_link(payload(message));
  ASSERT_TRUE(link);
  EXPECT_EQ(link->name, "uplink0");
  EXPECT_EQ(link->kind, "macvlan");
  EXPECT_EQ(link->mac, (std::vector<std::uint8_t>{0x0a, 0x70, 1, 2, 3, 4}));
  EXPECT_EQ(parse_link(payload(set_alias(4, "panal nic eth1")))->alias, "panal nic eth1");
  EXPECT_FALSE(parse_link({}));
}

}  // namespace
}  // namespace panal::netconfine
