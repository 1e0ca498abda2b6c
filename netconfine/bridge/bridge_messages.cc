#include "netconfine/bridge/bridge_messages.h"

#include <libmnl/libmnl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <array>
#include <utility>

namespace panal::netconfine {
namespace {

class Request {
 public:
  Request(std::uint16_t type, int flags) : header_(mnl_nlmsg_put_header(bytes_.data())) {
    header_->nlmsg_type = type;
    header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  }
  template <typename Header>
  Header* extra() {
    return static_cast<Header*>(mnl_nlmsg_put_extra_header(header_, sizeof(Header)));
  }
  void put(std::uint16_t type, const std::string& text) {
    mnl_attr_put_strz(header_, type, text.c_str());
  }
  void put(std::uint16_t type, const void* bytes, std::size_t size) {
    mnl_attr_put(header_, type, size, bytes);
  }
  void put8(std::uint16_t type, std::uint8_t value) { mnl_attr_put_u8(header_, type, value); }
  void put16(std::uint16_t type, std::uint16_t value) { mnl_attr_put_u16(header_, type, value); }
  void put32(std::uint16_t type, std::uint32_t value) { mnl_attr_put_u32(header_, type, value); }
  nlattr* begin(std::uint16_t type) { return mnl_attr_nest_start(header_, type); }
  void end(nlattr* nest) { mnl_attr_nest_end(header_, nest); }
  Message finish(std::string what) { return {header_, std::move(what)}; }

 private:
  alignas(nlmsghdr) std::array<char, 1024> bytes_{};
  nlmsghdr* header_;
};

}  // namespace

Message add_bridge(const std::string& name) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  request.extra<ifinfomsg>()->ifi_family = AF_UNSPEC;
  request.put(IFLA_IFNAME, name);
  nlattr* info = request.begin(IFLA_LINKINFO);
  request.put(IFLA_INFO_KIND, std::string("bridge"));
  nlattr* data = request.begin(IFLA_INFO_DATA);
  request.put32(IFLA_BR_STP_STATE, 0);
  request.put32(IFLA_BR_FORWARD_DELAY, 0);
  request.put32(IFLA_BR_AGEING_TIME, 0);
  request.put16(IFLA_BR_GROUP_FWD_MASK, 0);
  request.put8(IFLA_BR_MCAST_SNOOPING, 0);
  request.end(data);
  request.end(info);
  return request.finish("add bridge " + name);
}

Message add_veth_pair(const std::string& name, const std::string& peer) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  request.extra<ifinfomsg>()->ifi_family = AF_UNSPEC;
  request.put(IFLA_IFNAME, name);
  nlattr* info = request.begin(IFLA_LINKINFO);
  request.put(IFLA_INFO_KIND, std::string("veth"));
  nlattr* data = request.begin(IFLA_INFO_DATA);
  nlattr* other = request.begin(VETH_INFO_PEER);
  request.extra<ifinfomsg>()->ifi_family = AF_UNSPEC;
  request.put(IFLA_IFNAME, peer);
  request.end(other);
  request.end(data);
  request.end(info);
  return request.finish("add links " + name + " and " + peer);
}

Message set_master(int port, int bridge) {
  Request request(RTM_SETLINK, 0);
  auto* link = request.extra<ifinfomsg>();
  link->ifi_family = AF_UNSPEC;
  link->ifi_index = port;
  request.put32(IFLA_MASTER, static_cast<std::uint32_t>(bridge));
  return request.finish("make a port of a bridge");
}

Message set_port_flags(int port, PortKind kind) {
  Request request(RTM_SETLINK, 0);
  auto* link = request.extra<ifinfomsg>();
  link->ifi_family = AF_BRIDGE;
  link->ifi_index = port;
  const std::uint8_t desktop = kind == PortKind::kDesktop ? 1 : 0;
  const std::uint8_t trunk = desktop == 1 ? 0 : 1;
  nlattr* flags = request.begin(IFLA_PROTINFO | NLA_F_NESTED);
  request.put8(IFLA_BRPORT_GUARD, desktop);
  request.put8(IFLA_BRPORT_PROTECT, desktop);
  request.put8(IFLA_BRPORT_LEARNING, trunk);
  request.put8(IFLA_BRPORT_UNICAST_FLOOD, trunk);
  request.put8(IFLA_BRPORT_MCAST_FLOOD, 1);
  request.put8(IFLA_BRPORT_BCAST_FLOOD, 1);
  request.put8(IFLA_BRPORT_NEIGH_SUPPRESS, desktop);
  request.put8(IFLA_BRPORT_LOCKED, desktop);
  request.end(flags);
  return request.finish("set a bridge port's flags");
}

Message add_static_mac(int port, const Mac& mac) {
  Request request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  auto* neighbour = request.extra<ndmsg>();
  neighbour->ndm_family = AF_BRIDGE;
  neighbour->ndm_ifindex = port;
  neighbour->ndm_state = NUD_NOARP;  // "static": it may not move to another port
  neighbour->ndm_flags = NTF_MASTER;
  request.put(NDA_LLADDR, mac.data(), mac.size());
  return request.finish("enter a MAC for a bridge port");
}

Result<Message> add_bridge_neighbour(int bridge, const Ip& address, const Mac& mac) {
  return add_neighbour(bridge, address, mac);
}

Message add_prefix_route(int index, const Ip& network, std::uint8_t length) {
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  auto* route = request.extra<rtmsg>();
  route->rtm_family = static_cast<std::uint8_t>(network.family);
  route->rtm_dst_len = length;
  route->rtm_table = RT_TABLE_MAIN;
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_scope = network.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  route->rtm_type = RTN_UNICAST;
  request.put(RTA_DST, network.bytes, network.length_bytes);
  request.put32(RTA_OIF, static_cast<std::uint32_t>(index));
  return request.finish("add a route to " + network.text);
}

}  // namespace panal::netconfine
