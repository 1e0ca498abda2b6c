#include "netconfine/netlink/attributes.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>

#include <vector>

namespace panal::netconfine {
namespace {

using ByteVector = std::vector<std::byte>;

// One attribute, filled up to 4; `length` 0: the true one.
ByteVector attribute(std::uint16_t type, const std::string& payload, std::uint16_t length = 0) {
  nlattr header{};
  header.nla_type = type;
  header.nla_len =
      length != 0 ? length : static_cast<std::uint16_t>(sizeof(nlattr) + payload.size());
  ByteVector bytes(sizeof(nlattr));
  std::memcpy(bytes.data(), &header, sizeof(header));
  for (const char c : payload) bytes.push_back(static_cast<std::byte>(c));
  while (bytes.size() % 4 != 0) bytes.push_back(std::byte{0});
  return bytes;
}

ByteVector operator+(ByteVector a, const ByteVector& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(Attributes, AreWalkedInOrderWithoutTheirFlagBits) {
  const auto bytes = attribute(1, "one") + attribute(2 | NLA_F_NESTED, "") + attribute(3, "three");
  Attributes walk(bytes);
  std::string seen;
  while (const auto one = walk.next()) {
    seen += std::to_string(one->type) + ":" + read_text(one->payload) + " ";
  }
  EXPECT_EQ(seen, "1:one 2: 3:three ");
  EXPECT_FALSE(walk.broken());
}

TEST(Attributes, TheLastNeedsNoFilling) {
  auto bytes = attribute(1, "a");
  bytes.resize(5);
  EXPECT_EQ(read_text(find_attribute(bytes, 1)), "a");
}

TEST(Attributes, MalformedTable) {
  const struct {
    const char* what;
    ByteVector bytes;
  } cases[] = {{"a cut header", ByteVector(3)},
               {"a length of 0", ByteVector(8)},
               {"shorter than its header", attribute(1, "abcd", 3)},
               {"longer than all", attribute(1, "abcd", 9)},
               {"much longer", attribute(1, "abcd", 0xffff)}};
  for (const auto& [what, bytes] : cases) {
    Attributes walk(bytes);
    EXPECT_FALSE(walk.next()) << what;
    EXPECT_TRUE(walk.broken()) << what;
    EXPECT_FALSE(walk.next()) << what << ": and it stays so";
    const auto behind = attribute(7, "x") + bytes;
    EXPECT_EQ(read_text(find_attribute(behind, 7)), "x") << what << ": what came before counts";
    EXPECT_TRUE(find_attribute(behind, 1).empty()) << what;
  }
}

TEST(Attributes, ValuesNeedTheirBytes) {
  const auto bytes = attribute(1, "abc");
  EXPECT_FALSE(read_value<std::uint32_t>(find_attribute(bytes, 1)));
  EXPECT_TRUE(read_value<std::uint16_t>(find_attribute(bytes, 1)));
  EXPECT_FALSE(read_value<std::uint16_t>(find_attribute(bytes, 2)));
}

TEST(Attributes, WhatFollowsTheFixedPartMayBeNothing) {
  const ByteVector bytes(6);
  EXPECT_EQ(attributes_after(bytes, 1).size(), 2U);
  EXPECT_TRUE(attributes_after(bytes, 5).empty());
  EXPECT_TRUE(attributes_after(bytes, 500).empty());
}

}  // namespace
}  // namespace panal::netconfine
