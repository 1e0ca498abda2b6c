#include <gtest/gtest.h>

#include "netconfine/probe/packet.h"

namespace panal::netconfine {
namespace {

constexpr std::uint32_t kToken = 0xdeadbeef;

Flow flow(Protocol protocol, bool v6) {
  Flow flow;
  flow.from4 = {10, 77, 0, 7};
  flow.to4 = {10, 0, 0, 53};
  flow.from6 = {0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7};
  flow.to6 = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53};
  flow.v6 = v6;
  flow.protocol = protocol;
  flow.port = protocol == Protocol::kTcp || protocol == Protocol::kUdp ? 53 : 0;
  return flow;
}

/// Of 16-bit words, as a receiver adds them up: 0xffff where the checksum is right.
std::uint32_t sum(const std::vector<std::uint8_t>& bytes) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    out += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8U : bytes[i];
  while (out >> 16U != 0) out = (out & 0xffffU) + (out >> 16U);
  return out;
}

class ProbePacket : public ::testing::TestWithParam<std::tuple<Protocol, bool>> {
 protected:
  Flow flow_ = flow(std::get<0>(GetParam()), std::get<1>(GetParam()));
  std::vector<std::uint8_t> packet_ = probe_packet(flow_, kToken);
};

TEST_P(ProbePacket, IsKnownAgainAndNoOther) {
  EXPECT_TRUE(is_probe(packet_, flow_, kToken));
  EXPECT_FALSE(is_probe(packet_, flow_, kToken + 1));
  Flow other = flow_;
  other.to4[3] ^= 1;
  other.to6[15] ^= 1;
  EXPECT_FALSE(is_probe(packet_, other, kToken)) << "another destination";
  other = flow_;
  other.v6 = !other.v6;
  EXPECT_FALSE(is_probe(packet_, other, kToken)) << "another family";
  if (flow_.port != 0) {
    other = flow_;
    other.port = 54;
    EXPECT_FALSE(is_probe(packet_, other, kToken)) << "another port";
  }
  for (const Protocol protocol :
       {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp, Protocol::kAny}) {
    if (protocol == flow_.protocol) continue;
    other = flow_;
    other.protocol = protocol;
    EXPECT_FALSE(is_probe(packet_, other, kToken));
  }
}

TEST_P(ProbePacket, IsKnownBehindTranslationOfItsSource) {
  const std::size_t at = flow_.v6 ? 8 : 12;
  packet_[at + 3] ^= 0x55;
  if (flow_.port != 0) packet_[flow_.v6 ? 40 : 20] ^= 0x55;
  EXPECT_TRUE(is_probe(packet_, flow_, kToken));
}

TEST_P(ProbePacket, WhatIsCutOffIsNone) {
  const std::size_t marked = flow_.v6 ? 48 : 28;  // a SYN is known by its first eight bytes
  for (std::size_t size = 0; size < marked; ++size)
    EXPECT_FALSE(is_probe(std::span(packet_).first(size), flow_, kToken)) << size;
}

TEST_P(ProbePacket, HasChecksumsThatAreRight) {
  std::vector<std::uint8_t> inner(packet_.begin() + (flow_.v6 ? 40 : 20), packet_.end());
  if (!flow_.v6) {
    const std::vector<std::uint8_t> header(packet_.begin(), packet_.begin() + 20);
    EXPECT_EQ(sum(header), 0xffffU);
    EXPECT_EQ(std::size_t{header[2]} << 8U | header[3], packet_.size());
  } else {
    EXPECT_EQ(std::size_t{packet_[4]} << 8U | packet_[5], inner.size());
  }
  if (flow_.protocol == Protocol::kAny) return;
  if (flow_.protocol != Protocol::kIcmp || flow_.v6) {  // with a pseudo header in front
    std::vector<std::uint8_t> all;
    const auto add = [&all](const auto& address) {
      all.insert(all.end(), address.begin(), address.end());
    };
    if (flow_.v6) {
      add(flow_.from6);
      add(flow_.to6);
    } else {
      add(flow_.from4);
      add(flow_.to4);
    }
    const auto length = static_cast<std::uint8_t>(inner.size());
    all.insert(all.end(), {0, length, 0, packet_[flow_.v6 ? 6 : 9]});
    all.insert(all.end(), inner.begin(), inner.end());
    inner = all;
  }
  EXPECT_EQ(sum(inner), 0xffffU);
}

INSTANTIATE_TEST_SUITE_P(All, ProbePacket,
                         ::testing::Combine(::testing::Values(Protocol::kTcp, Protocol::kUdp,
                                                              Protocol::kIcmp, Protocol::kAny),
                                            ::testing::Bool()));

}  // namespace
}  // namespace panal::netconfine
