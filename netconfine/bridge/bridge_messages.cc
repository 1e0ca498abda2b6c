#include "netconfine/bridge/bridge_messages.h"

#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "netconfine/netlink/request.h"
#include "netconfine/policy/prefix.h"

namespace panal::netconfine {
namespace {

// Clock ticks of user space (100 a second on every architecture).
constexpr std::uint32_t kAgeingTicks = 300 * 100;

constexpr std::array kBridgeSettings = {
    BridgeSetting{IFLA_BR_STP_STATE, 4, 0, "spanning tree"},
    BridgeSetting{IFLA_BR_AGEING_TIME, 4, kAgeingTicks, "ageing time"},
    BridgeSetting{IFLA_BR_GROUP_FWD_MASK, 2, 0, "link protocols passed on"},
    BridgeSetting{IFLA_BR_MCAST_SNOOPING, 1, 0, "multicast snooping"},
    BridgeSetting{IFLA_BR_NF_CALL_IPTABLES, 1, 0, "iptables for what is bridged"},
    BridgeSetting{IFLA_BR_NF_CALL_IP6TABLES, 1, 0, "ip6tables for what is bridged"},
    BridgeSetting{IFLA_BR_NF_CALL_ARPTABLES, 1, 0, "arptables for what is bridged"},
    BridgeSetting{IFLA_BR_MULTI_BOOLOPT, sizeof(br_boolopt_multi), 1U << BR_BOOLOPT_NO_LL_LEARN,
                  "no learning from link protocols"},
    // Behind it a desktop's MAC is looked for in a VLAN that nobody has entered it in.
    BridgeSetting{IFLA_BR_VLAN_FILTERING, 1, 0, "VLAN filtering", false, true},
};

constexpr std::array kMemberSettings = {
    BridgeSetting{IFLA_BRPORT_LEARNING, 1, 0, "learning"},
    BridgeSetting{IFLA_BRPORT_UNICAST_FLOOD, 1, 0, "flood of unknown MACs"},
    BridgeSetting{IFLA_BRPORT_MCAST_FLOOD, 1, 1, "flood of multicast"},
    BridgeSetting{IFLA_BRPORT_BCAST_FLOOD, 1, 1, "flood of broadcast"},
    BridgeSetting{IFLA_BRPORT_MODE, 1, 0, "hairpin"},
    BridgeSetting{IFLA_BRPORT_LOCKED, 1, 1, "locked", true},
    // Answering for neighbours is not passed on to other ports that answer: each must be asked.
    BridgeSetting{IFLA_BRPORT_NEIGH_SUPPRESS, 1, 0, "neighbour suppression"},
    BridgeSetting{IFLA_BRPORT_PROXYARP, 1, 0, "proxy ARP"},
    BridgeSetting{IFLA_BRPORT_PROXYARP_WIFI, 1, 0, "proxy ARP of wireless stations"},
    BridgeSetting{IFLA_BRPORT_ISOLATED, 1, 0, "isolated"},
    BridgeSetting{IFLA_BRPORT_GROUP_FWD_MASK, 2, 0, "link protocols passed on"},
    // Which would be given what is for a port that is not up.
    BridgeSetting{IFLA_BRPORT_BACKUP_PORT, 4, 0, "backup port"},
};

constexpr std::array kTrunkSettings = {
    BridgeSetting{IFLA_BRPORT_LEARNING, 1, 0, "learning"},
    BridgeSetting{IFLA_BRPORT_UNICAST_FLOOD, 1, 0, "flood of unknown MACs"},
    BridgeSetting{IFLA_BRPORT_MCAST_FLOOD, 1, 1, "flood of multicast"},
    BridgeSetting{IFLA_BRPORT_BCAST_FLOOD, 1, 1, "flood of broadcast"},
    BridgeSetting{IFLA_BRPORT_MODE, 1, 0, "hairpin"},
    BridgeSetting{IFLA_BRPORT_LOCKED, 1, 0, "locked"},
    BridgeSetting{IFLA_BRPORT_NEIGH_SUPPRESS, 1, 0, "neighbour suppression"},
    BridgeSetting{IFLA_BRPORT_PROXYARP, 1, 0, "proxy ARP"},
    BridgeSetting{IFLA_BRPORT_PROXYARP_WIFI, 1, 0, "proxy ARP of wireless stations"},
    BridgeSetting{IFLA_BRPORT_ISOLATED, 1, 0, "isolated"},
    BridgeSetting{IFLA_BRPORT_GROUP_FWD_MASK, 2, 0, "link protocols passed on"},
    // Which would be given what is for a port that is not up.
    BridgeSetting{IFLA_BRPORT_BACKUP_PORT, 4, 0, "backup port"},
};

void put_setting(Request& request, const BridgeSetting& one) {
  switch (one.bytes) {
    case 1: request.value(one.attribute, static_cast<std::uint8_t>(one.value)); break;
    case 2: request.u16(one.attribute, static_cast<std::uint16_t>(one.value)); break;
    case sizeof(br_boolopt_multi):
      request.value(one.attribute, br_boolopt_multi{one.value, one.value});
      break;
    default: request.u32(one.attribute, one.value); break;
  }
}

void put_settings(Request& request, std::span<const BridgeSetting> settings) {
  for (const BridgeSetting& one : settings)
    if (!one.only_compared) put_setting(request, one);
}

// Bit 1 of the first byte says "locally administered"; desktops' begin with 02 and 06.
constexpr std::uint8_t kBridgeMacByte = 0x0a, kTrunkMacByte = 0x0e, kHubTrunkMacByte = 0x12;

Mac shard_mac(std::uint8_t first, const Shard& shard) {
  return {first,
          static_cast<std::uint8_t>(shard.number),
          static_cast<std::uint8_t>(shard.group >> 24),
          static_cast<std::uint8_t>(shard.group >> 16),
          static_cast<std::uint8_t>(shard.group >> 8),
          static_cast<std::uint8_t>(shard.group)};
}

// One queue each way is all that a veth can use.
void put_end(Request& request, const std::string& name, const Mac& mac) {
  request.text(IFLA_IFNAME, name);
  request.value(IFLA_ADDRESS, mac);
  request.u32(IFLA_NUM_TX_QUEUES, 1);
  request.u32(IFLA_NUM_RX_QUEUES, 1);
}

// "png" and a zero byte, as routed links have theirs.
constexpr std::uint32_t kLeavingMembers = 0x706e6700;

// Before the 256 of the routes that the kernel makes itself.
constexpr std::uint32_t kBetterMetric = 128;

}  // namespace

std::span<const BridgeSetting> bridge_settings() { return kBridgeSettings; }

std::span<const BridgeSetting> port_settings(PortKind kind) {
  if (kind == PortKind::kMember) return kMemberSettings;
  return kTrunkSettings;
}

Message put_bridge(const Shard& shard) {
  const std::string name = bridge_name(shard);
  ifinfomsg info{};
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  Request request(RTM_NEWLINK, NLM_F_CREATE, info, "put bridge " + name);
  request.text(IFLA_IFNAME, name);
  request.value(IFLA_ADDRESS, shard_mac(kBridgeMacByte, shard));
  nlattr* link = request.begin(IFLA_LINKINFO);
  request.text(IFLA_INFO_KIND, "bridge");
  nlattr* data = request.begin(IFLA_INFO_DATA);
  put_settings(request, bridge_settings());
  request.end(data);
  request.end(link);
  return request.finish();
}

Message set_bridge(const Shard& shard, const BridgeSetting& setting) {
  Request request(
      RTM_NEWLINK, 0, ifinfomsg{},
      fmt::format("set {} of {} to {}", setting.name, bridge_name(shard), setting.value));
  request.text(IFLA_IFNAME, bridge_name(shard));
  nlattr* link = request.begin(IFLA_LINKINFO);
  request.text(IFLA_INFO_KIND, "bridge");
  nlattr* data = request.begin(IFLA_INFO_DATA);
  put_setting(request, setting);
  request.end(data);
  request.end(link);
  return request.finish();
}

Message add_trunk(const Shard& shard) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{},
                  "add trunk " + trunk_name(shard));
  put_end(request, trunk_name(shard), shard_mac(kTrunkMacByte, shard));
  nlattr* link = request.begin(IFLA_LINKINFO);
  request.text(IFLA_INFO_KIND, "veth");
  nlattr* data = request.begin(IFLA_INFO_DATA);
  nlattr* other = request.begin(VETH_INFO_PEER);
  request.fixed(ifinfomsg{});
  put_end(request, hub_trunk_name(shard), shard_mac(kHubTrunkMacByte, shard));
  request.end(other);
  request.end(data);
  request.end(link);
  return request.finish();
}

Message set_master(int port, int bridge) {
  ifinfomsg info{};
  info.ifi_index = port;
  Request request(RTM_SETLINK, 0, info, fmt::format("make link {} a port of {}", port, bridge));
  request.u32(IFLA_MASTER, static_cast<std::uint32_t>(bridge));
  return request.finish();
}

Message free_port(int port) {
  ifinfomsg info{};
  info.ifi_index = port;
  Request request(RTM_SETLINK, 0, info, fmt::format("take link {} off its bridge", port));
  request.u32(IFLA_MASTER, 0);
  return request.finish();
}

Message set_port(int port, PortKind kind) {
  ifinfomsg info{};
  info.ifi_family = AF_BRIDGE;
  info.ifi_index = port;
  Request request(RTM_SETLINK, 0, info, fmt::format("set up the bridge port {}", port));
  nlattr* settings = request.begin(IFLA_PROTINFO);
  put_settings(request, port_settings(kind));
  request.end(settings);
  return request.finish();
}

Message add_static_mac(int port, const Mac& mac) {
  ndmsg neighbour{};
  neighbour.ndm_family = AF_BRIDGE;
  neighbour.ndm_ifindex = port;
  neighbour.ndm_state = NUD_NOARP;
  neighbour.ndm_flags = NTF_MASTER;
  Request request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, neighbour,
                  fmt::format("enter {} for the bridge port {}", to_string(mac), port));
  request.value(NDA_LLADDR, mac);
  return request.finish();
}

Message delete_mac(int port, const Mac& mac) {
  ndmsg neighbour{};
  neighbour.ndm_family = AF_BRIDGE;
  neighbour.ndm_ifindex = port;
  neighbour.ndm_flags = NTF_MASTER;
  Request request(RTM_DELNEIGH, 0, neighbour,
                  fmt::format("take {} off the bridge port {}", to_string(mac), port));
  request.value(NDA_LLADDR, mac);
  return request.finish();
}

// By RTM_SETLINK, as set_link_group() does and for its reason.
Message set_leaving(DesktopId id) {
  ifinfomsg info{};
  info.ifi_change = IFF_UP;
  Request request(RTM_SETLINK, 0, info, "take down link " + member_name(id));
  request.text(IFLA_IFNAME, member_name(id));
  request.u32(IFLA_GROUP, kLeavingMembers);
  return request.finish();
}

Message delete_leaving() {
  Request request(RTM_DELLINK, 0, ifinfomsg{}, "delete links that leave their groups");
  request.u32(IFLA_GROUP, kLeavingMembers);
  return request.finish();
}

// With the header of a link: the kernel looks for IFLA_MASTER only behind that one.
Message list_macs(int bridge) {
  ifinfomsg info{};
  info.ifi_family = AF_BRIDGE;
  Request request(RTM_GETNEIGH, NLM_F_DUMP, info, fmt::format("list MACs of bridge {}", bridge));
  request.u32(IFLA_MASTER, static_cast<std::uint32_t>(bridge));
  return request.finish();
}

Message add_broadcast_address(int index, const Ipv4& address, const Ipv4& broadcast) {
  ifaddrmsg info{};
  info.ifa_family = AF_INET;
  info.ifa_prefixlen = 32;
  info.ifa_scope = RT_SCOPE_UNIVERSE;
  info.ifa_index = static_cast<std::uint32_t>(index);
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, info,
                  "add address " + to_string(address));
  request.value(IFA_LOCAL, address);
  request.value(IFA_ADDRESS, address);
  request.value(IFA_BROADCAST, broadcast);
  return request.finish();
}

Message add_link_route(int index, const Prefix& to) {
  rtmsg route{};
  route.rtm_family = static_cast<unsigned char>(to.v6 ? AF_INET6 : AF_INET);
  route.rtm_dst_len = to.length;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = static_cast<unsigned char>(to.v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  route.rtm_type = RTN_UNICAST;
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route,
                  "add route to " + to_string(to));
  if (to.v6) {
    request.value(RTA_DST, to.bytes);
  } else {
    Ipv4 four{};
    std::copy_n(to.bytes.begin(), four.size(), four.begin());
    request.value(RTA_DST, four);
  }
  request.u32(RTA_OIF, static_cast<std::uint32_t>(index));
  return request.finish();
}

Message prefer_for_multicast6(int index) {
  rtmsg route{};
  route.rtm_family = AF_INET6;
  route.rtm_dst_len = 8;
  route.rtm_table = RT_TABLE_LOCAL;  // where the kernel's are
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  route.rtm_type = RTN_MULTICAST;
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route, "add route to ff00::/8");
  constexpr Ipv6 kMulticast = {0xff};
  request.value(RTA_DST, kMulticast);
  request.u32(RTA_OIF, static_cast<std::uint32_t>(index));
  request.u32(RTA_PRIORITY, kBetterMetric);
  return request.finish();
}

}  // namespace panal::netconfine
