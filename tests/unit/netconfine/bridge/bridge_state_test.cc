#include "netconfine/bridge/bridge_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>
#include <map>

#include "netconfine/bridge/bridge_messages.h"
#include "netconfine/bridge/group_end.h"
#include "netconfine/netlink/request.h"
#include "netconfine/policy/prefix.h"

namespace panal::netconfine {
namespace {

using ::testing::IsEmpty;

constexpr Shard kShard{0xbac24a40, 2};
constexpr Mac kMac = {2, 0x70, 0, 0, 0, 7};

std::span<const std::byte> payload(const Message& message) {
  return std::span(message.bytes).subspan(NLMSG_HDRLEN);
}

/// As the kernel lists a desktop's port.
Message listed_port() {
  ifinfomsg info{};
  info.ifi_index = 9;
  Request request(RTM_NEWLINK, 0, info, "a port");
  request.text(IFLA_IFNAME, "png7");
  request.u32(IFLA_MASTER, 4);
  nlattr* link = request.begin(IFLA_LINKINFO);
  request.text(IFLA_INFO_KIND, "veth");
  request.text(IFLA_INFO_SLAVE_KIND, "bridge");
  nlattr* data = request.begin(IFLA_INFO_SLAVE_DATA);
  for (const BridgeSetting& one : port_settings(PortKind::kMember))
    request.value(one.attribute, static_cast<std::uint8_t>(one.value));
  request.end(data);
  request.end(link);
  return request.finish();
}

TEST(BridgeState, ABridgeComesBackAsItIsSetUp) {
  const auto message = put_bridge(kShard);
  const auto found = parse_bridge_link(payload(message));
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->link.name, "pnbbac24a40-2");
  EXPECT_EQ(found->link.kind, "bridge");
  EXPECT_TRUE(found->link.up);
  EXPECT_EQ(found->link.mac, (std::vector<std::uint8_t>{0x0a, 2, 0xba, 0xc2, 0x4a, 0x40}));
  EXPECT_THAT(found->port, IsEmpty());
  for (const BridgeSetting& one : bridge_settings()) {
    ASSERT_EQ(found->bridge.contains(one.attribute), !one.only_compared) << one.name;
    if (one.only_compared) continue;
    EXPECT_EQ(found->bridge.at(one.attribute), one.value) << one.name;
  }
}

TEST(BridgeState, OneSettingIsSaidToABridgeThatIsThere) {
  int said = 0;
  for (const BridgeSetting& one : bridge_settings()) {
    if (!one.only_compared) continue;
    ++said;
    const auto message = set_bridge(kShard, one);
    nlmsghdr header{};
    std::memcpy(&header, message.bytes.data(), sizeof(header));
    EXPECT_EQ(header.nlmsg_type, RTM_NEWLINK);
    EXPECT_EQ(header.nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL), 0);
    const auto found = parse_bridge_link(payload(message));
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(found->link.name, "pnbbac24a40-2");
    EXPECT_EQ(found->bridge, (std::map<std::uint16_t, std::uint32_t>{{one.attribute, one.value}}));
  }
  EXPECT_EQ(said, 1) << "VLAN filtering";
}

TEST(BridgeState, APortHasItsBridgeAndItsSettings) {
  const auto message = listed_port();
  const auto found = parse_bridge_link(payload(message));
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->link.master, 4);
  EXPECT_THAT(found->bridge, IsEmpty());
  for (const BridgeSetting& one : port_settings(PortKind::kMember))
    EXPECT_EQ(found->port.at(one.attribute), one.value) << one.name;
}

TEST(BridgeState, BothKindsOfPortSayAllThatTheOtherSays) {
  const auto member = port_settings(PortKind::kMember), trunk = port_settings(PortKind::kTrunk);
  ASSERT_EQ(member.size(), trunk.size());
  for (std::size_t i = 0; i < member.size(); ++i)
    EXPECT_EQ(member[i].attribute, trunk[i].attribute) << member[i].name;
}

/// As the kernel lists a MAC behind a port.
Message listed_mac(std::uint16_t state, std::uint8_t flags = 0, std::uint8_t family = AF_BRIDGE) {
  ndmsg neighbour{};
  neighbour.ndm_family = family;
  neighbour.ndm_ifindex = 9;
  neighbour.ndm_state = state;
  neighbour.ndm_flags = flags;
  Request request(RTM_NEWNEIGH, 0, neighbour, "a MAC");
  request.value(NDA_LLADDR, kMac);
  request.u32(NDA_MASTER, 4);
  return request.finish();
}

TEST(PortMacs, AreThoseThatAreNotThePortsOwn) {
  const auto entered = parse_port_mac(payload(listed_mac(NUD_NOARP)));
  ASSERT_TRUE(entered && *entered);
  EXPECT_EQ(**entered, (PortMac{9, kMac, true}));
  const auto seen = parse_port_mac(payload(listed_mac(NUD_REACHABLE)));
  ASSERT_TRUE(seen && *seen);
  EXPECT_EQ(**seen, (PortMac{9, kMac, false}));
  for (const Message& none : {listed_mac(NUD_PERMANENT), listed_mac(NUD_NOARP, NTF_SELF),
                              listed_mac(NUD_NOARP, 0, AF_INET)}) {
    const auto mac = parse_port_mac(payload(none));
    ASSERT_TRUE(mac);
    EXPECT_FALSE(*mac);
  }
  EXPECT_TRUE(parse_port_mac(payload(add_static_mac(9, kMac)))->has_value())
      << "what is entered is what is looked for";
}

TEST(BridgeState, NoCutAndNoLengthIsBelieved) {
  for (const Message& message : {put_bridge(kShard), listed_port(), listed_mac(NUD_NOARP)}) {
    const auto whole = payload(message);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<long>(length));
      const auto link = parse_bridge_link(cut);
      if (length < sizeof(ifinfomsg)) {
        EXPECT_FALSE(link) << length;
      }
      const auto mac = parse_port_mac(cut);
      if (length < sizeof(ndmsg)) {
        EXPECT_FALSE(mac) << length;
      }
    }
    for (std::size_t at = 0; at + 2 <= whole.size(); ++at) {
      for (const unsigned length : {0U, 1U, 3U, 5U, 0x7fffU, 0xffffU}) {
        const auto lie = static_cast<std::uint16_t>(length);
        std::vector<std::byte> bytes(whole.begin(), whole.end());
        std::memcpy(bytes.data() + at, &lie, sizeof(lie));
        (void)parse_bridge_link(bytes);
        (void)parse_port_mac(bytes);
      }
    }
  }
}

TEST(GroupEnd, AllOfAPrefixIsAddressedByItsLastAddress) {
  const auto last = [](const char* prefix) {
    return to_string(broadcast_of(*parse_prefix(prefix)));
  };
  EXPECT_EQ(last("10.77.0.0/16"), "10.77.255.255");
  EXPECT_EQ(last("10.0.0.0/8"), "10.255.255.255");
  EXPECT_EQ(last("10.77.0.4/30"), "10.77.0.7");
  EXPECT_EQ(last("10.77.16.0/20"), "10.77.31.255");
}

}  // namespace
}  // namespace panal::netconfine
