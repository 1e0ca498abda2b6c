#include "netconfine/netlink/ack.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>

#include <cstring>

namespace panal::netconfine {
namespace {

using Bytes = std::vector<std::byte>;

template <typename T>
void put(Bytes& bytes, const T& value) {
  const auto* first = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), first, first + sizeof(T));
}

struct Shape {
  std::uint32_t length = 0;  // 0: the true one
  std::uint16_t type = NLMSG_ERROR;
  std::uint16_t flags = NLM_F_CAPPED;
  int error = 0;
  std::string text = {};
  std::uint16_t attribute_length = 0;  // 0: the true one
};

Bytes ack(std::uint32_t sequence, const Shape& shape) {
  Bytes body;
  put(body, shape.error);
  nlmsghdr request{};
  request.nlmsg_len = sizeof(nlmsghdr);
  put(body, request);
  if (!shape.text.empty()) {
    nlattr attribute{};
    attribute.nla_type = NLMSGERR_ATTR_MSG;
    attribute.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + shape.text.size() + 1);
    const std::size_t padded = (attribute.nla_len + 3U) & ~3U;
    const std::size_t end = body.size() + padded;
    if (shape.attribute_length != 0) attribute.nla_len = shape.attribute_length;
    put(body, attribute);
    for (const char c : shape.text) body.push_back(static_cast<std::byte>(c));
    body.resize(end);
  }
  nlmsghdr header{};
  header.nlmsg_len =
      shape.length != 0 ? shape.length : static_cast<std::uint32_t>(sizeof(nlmsghdr) + body.size());
  header.nlmsg_type = shape.type;
  header.nlmsg_flags = shape.flags;
  header.nlmsg_seq = sequence;
  Bytes bytes;
  put(bytes, header);
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(ParseAcks, SeveralInOneDatagram) {
  const auto acks = parse_acks(ack(5, {}) + ack(6, {.error = -ENOENT}));
  ASSERT_TRUE(acks);
  ASSERT_EQ(acks->size(), 2U);
  EXPECT_EQ((*acks)[0].sequence, 5U);
  EXPECT_EQ((*acks)[0].code, 0);
  EXPECT_EQ((*acks)[1].sequence, 6U);
  EXPECT_EQ((*acks)[1].code, ENOENT);
}

TEST(ParseAcks, TakesTheKernelsWords) {
  const auto acks = parse_acks(
      ack(1, {.flags = NLM_F_CAPPED | NLM_F_ACK_TLVS, .error = -EINVAL, .text = "Device is down"}));
  ASSERT_TRUE(acks);
  ASSERT_EQ(acks->size(), 1U);
  EXPECT_EQ(acks->front().text, "Device is down");
}

TEST(ParseAcks, SkipsOtherMessages) {
  const auto acks = parse_acks(ack(1, {.type = NLMSG_NOOP}) + ack(2, {}));
  ASSERT_TRUE(acks);
  ASSERT_EQ(acks->size(), 1U);
  EXPECT_EQ(acks->front().sequence, 2U);
}

TEST(ParseAcks, NothingIsNoAck) {
  const auto acks = parse_acks({});
  ASSERT_TRUE(acks);
  EXPECT_TRUE(acks->empty());
}

TEST(ParseAcks, MalformedDatagramsAreErrors) {
  const Bytes whole = ack(1, {});
  const std::vector<std::pair<const char*, Bytes>> table = {
      {"half a header", Bytes(whole.begin(), whole.begin() + 9)},
      {"one byte", Bytes(1)},
      {"length 0", Bytes(16)},
      {"length below a header", ack(1, {.length = 15})},
      {"length past the end", ack(1, {.length = 4000})},
      {"huge length", ack(1, {.length = 0xffffffff})},
      {"no error code", ack(1, {.length = 18})},
      {"positive code", ack(1, {.error = 5})},
      {"garbage after a good one", whole + Bytes(3)},
  };
  for (const auto& [name, bytes] : table) {
    const auto acks = parse_acks(bytes);
    ASSERT_FALSE(acks) << name;
    EXPECT_EQ(acks.error().code, EPROTO) << name;
  }
}

TEST(ParseAcks, LyingAttributesCostOnlyTheWords) {
  for (const std::uint16_t length : {std::uint16_t{1}, std::uint16_t{3}, std::uint16_t{9999}}) {
    const auto acks = parse_acks(ack(1, {.flags = NLM_F_CAPPED | NLM_F_ACK_TLVS,
                                         .error = -EPERM,
                                         .text = "abc",
                                         .attribute_length = length}));
    ASSERT_TRUE(acks) << length;
    EXPECT_EQ(acks->front().code, EPERM);
    EXPECT_EQ(acks->front().text, "");
  }
}

TEST(ParseAcks, EveryCutOfAGoodDatagramIsSafe) {
  const Bytes whole =
      ack(1, {.flags = NLM_F_CAPPED | NLM_F_ACK_TLVS, .error = -1, .text = "words"}) +
      ack(2, {.flags = NLM_F_ACK_TLVS, .error = -1, .text = "words"});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    // Copied, so that a sanitizer sees a read past the end.
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    (void)parse_acks(cut);
  }
}

}  // namespace
}  // namespace panal::netconfine
