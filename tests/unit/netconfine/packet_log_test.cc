#include "netconfine/log/packet_log.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>

#include <cstring>

namespace panal::netconfine {
namespace {

using PacketBytes = std::vector<std::uint8_t>;

const PacketBytes kUdp4 = {0x45, 0,  0, 40, 0,  1, 0, 0,  64,   17,   0, 0,
                           10,   77, 0, 1,  10, 1, 0, 53, 0x9c, 0x40, 0, 53};

class LogMessage {
 public:
  LogMessage() : bytes_(sizeof(nlmsghdr) + sizeof(nfgenmsg)) {}
  LogMessage& put(int type, const void* payload, std::size_t size) {
    nlattr attribute{};
    attribute.nla_type = static_cast<std::uint16_t>(type);
    attribute.nla_len = static_cast<std::uint16_t>(sizeof(attribute) + size);
    const auto at = bytes_.size();
    bytes_.resize(at + ((attribute.nla_len + 3U) & ~3U));
    std::memcpy(bytes_.data() + at, &attribute, sizeof(attribute));
    if (size != 0) std::memcpy(bytes_.data() + at + sizeof(attribute), payload, size);
    return *this;
  }
  LogMessage& packet(const PacketBytes& packet) {
    return put(NFULA_PAYLOAD, packet.data(), packet.size());
  }
  const nlmsghdr* message() {
    auto* header = reinterpret_cast<nlmsghdr*>(bytes_.data());
    header->nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
    return header;
  }

 private:
  PacketBytes bytes_;
};

TEST(PacketLog, SaysWhoWantedWhat) {
  const std::uint32_t link = htonl(7);
  const auto logged = parse_logged(LogMessage()
                                       .put(NFULA_PREFIX, "panal denied office ", 21)
                                       .put(NFULA_IFINDEX_INDEV, &link, sizeof(link))
                                       .packet(kUdp4)
                                       .message());
  ASSERT_TRUE(logged);
  EXPECT_EQ(logged->prefix, "panal denied office");
  EXPECT_EQ(logged->in_link, 7);
  EXPECT_EQ(logged->out_link, 0);
  EXPECT_EQ(logged->from, "10.77.0.1");
  EXPECT_EQ(logged->to, "10.1.0.53");
  EXPECT_EQ(logged->protocol, 17);
  EXPECT_EQ(logged->from_port, 40'000);
  EXPECT_EQ(logged->to_port, 53);
}

TEST(PacketLog, ReadsIpv6) {
  PacketBytes packet(44, 0);
  packet[0] = 0x60;
  packet[6] = 6;
  packet[8] = 0xfd;
  packet[24] = 0xfe;
  packet[43] = 80;
  const auto logged = parse_logged(LogMessage().packet(packet).message());
  ASSERT_TRUE(logged);
  EXPECT_EQ(logged->from, "fd00::");
  EXPECT_EQ(logged->to, "fe00::");
  EXPECT_EQ(logged->to_port, 80);
}

struct OddPacket {
  const char* what;
  PacketBytes packet;
  bool has_addresses;
};

TEST(PacketLog, BelievesNoLengthOfADesktop) {
  PacketBytes lies = kUdp4;
  lies[0] = 0x4f;  // a header of 60 bytes
  PacketBytes tiny = kUdp4;
  tiny[0] = 0x41;  // and one of 4
  const OddPacket kAll[] = {
      {"nothing", {}, false},
      {"one byte", {0x45}, false},
      {"a cut IPv4 header", PacketBytes(kUdp4.begin(), kUdp4.begin() + 19), false},
      {"no ports", PacketBytes(kUdp4.begin(), kUdp4.begin() + 22), true},
      {"a header longer than the packet", lies, true},
      {"a header shorter than one", tiny, false},
      {"a cut IPv6 header", PacketBytes(39, 0x60), false},
      {"neither", PacketBytes(64, 0x10), false}};
  for (const OddPacket& odd : kAll) {
    const auto logged = parse_logged(LogMessage().packet(odd.packet).message());
    ASSERT_TRUE(logged) << odd.what;
    EXPECT_EQ(!logged->from.empty(), odd.has_addresses) << odd.what;
    EXPECT_EQ(logged->to_port, 0) << odd.what;
  }
  const std::uint16_t two = 7;
  const auto cut = parse_logged(LogMessage().put(NFULA_IFINDEX_INDEV, &two, sizeof(two)).message());
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->in_link, 0);
  nlmsghdr header{};
  header.nlmsg_len = sizeof(header);
  const auto none = parse_logged(&header);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, EPROTO);
}

}  // namespace
}  // namespace panal::netconfine
