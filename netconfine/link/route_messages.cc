#include "netconfine/link/route_messages.h"

#include <fmt/format.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include <memory>

#include "netconfine/netlink/request.h"

namespace panal::netconfine {
namespace {

struct Free {
  void operator()(nl_addr* address) const { nl_addr_put(address); }
  void operator()(nl_msg* message) const { nlmsg_free(message); }
  void operator()(rtnl_link* link) const { rtnl_link_put(link); }
  void operator()(rtnl_addr* address) const { rtnl_addr_put(address); }
  void operator()(rtnl_route* route) const { rtnl_route_put(route); }
  void operator()(rtnl_neigh* neighbour) const { rtnl_neigh_put(neighbour); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

Failure build_failed(const std::string& what, int nl_code) {
  return fail(nl_code == -NLE_NOMEM ? ENOMEM : EINVAL,
              fmt::format("{}: libnl: {}", what, nl_geterror(nl_code)));
}

// Takes what an rtnl_*_build_* function made.
Result<Message> finished(int code, nl_msg* message, std::string what) {
  const Owned<nl_msg> owner(code < 0 ? nullptr : message);
  if (!owner) return build_failed(what, code);
  return Message(nlmsg_hdr(owner.get()), std::move(what));
}

Owned<nl_addr> to_nl(const Ip& ip) {
  Owned<nl_addr> address(nl_addr_build(ip.family, ip.bytes, ip.length_bytes));
  if (address) nl_addr_set_prefixlen(address.get(), static_cast<int>(ip.length_bytes * 8));
  return address;
}

Owned<nl_addr> to_nl(const Mac& mac) {
  return Owned<nl_addr>(nl_addr_build(AF_LLC, mac.data(), mac.size()));
}

// A message that is only an ifinfomsg.
Message link_message(int type, int flags, const ifinfomsg& info, std::string what) {
  struct {
    nlmsghdr header;
    ifinfomsg info;
  } request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = static_cast<std::uint16_t>(type);
  request.header.nlmsg_flags = static_cast<std::uint16_t>(flags);
  request.info = info;
  return Message(&request.header, std::move(what));
}

// One queue each way is all a point-to-point veth can use; the kernel would make one per core.
void one_queue(rtnl_link* link) {
  rtnl_link_set_num_tx_queues(link, 1);
  rtnl_link_set_num_rx_queues(link, 1);
}

Result<Message> add_route(int index, const Ip* destination, const Ip* gateway, std::string what) {
  const Owned<rtnl_route> route(rtnl_route_alloc());
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  if (!route || hop == nullptr) {
    if (hop != nullptr) rtnl_route_nh_free(hop);
    return fail(ENOMEM, what);
  }
  rtnl_route_add_nexthop(route.get(), hop);  // the route owns it from here
  rtnl_route_nh_set_ifindex(hop, index);
  const Ip& either = destination != nullptr ? *destination : *gateway;
  rtnl_route_set_family(route.get(), static_cast<std::uint8_t>(either.family));
  rtnl_route_set_table(route.get(), RT_TABLE_MAIN);
  rtnl_route_set_protocol(route.get(), RTPROT_STATIC);
  rtnl_route_set_type(route.get(), RTN_UNICAST);
  Owned<nl_addr> to;
  if (destination != nullptr) {
    to = to_nl(*destination);
    rtnl_route_set_scope(route.get(), either.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
  } else {
    to.reset(nl_addr_build(either.family, nullptr, 0));
    rtnl_route_set_scope(route.get(), RT_SCOPE_UNIVERSE);
    const auto via = to_nl(*gateway);
    if (!via) return fail(ENOMEM, what);
    rtnl_route_nh_set_gateway(hop, via.get());
    rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK);
  }
  if (!to) return fail(ENOMEM, what);
  if (const int code = rtnl_route_set_dst(route.get(), to.get()); code < 0) {
    return build_failed(what, code);
  }
  nl_msg* message = nullptr;
  const int code =
      rtnl_route_build_add_request(route.get(), NLM_F_CREATE | NLM_F_REPLACE, &message);
  return finished(code, message, std::move(what));
}

}  // namespace

Ip::Ip(const Ipv4& address)
    : family(AF_INET), bytes(address.data()), length_bytes(4), text(to_string(address)) {}
Ip::Ip(const Ipv6& address)
    : family(AF_INET6), bytes(address.data()), length_bytes(16), text(to_string(address)) {}

Result<Message> add_veth(const Addresses& addresses, const char* inside_name,
                         int desktop_namespace) {
  std::string what = fmt::format("add link {} with peer {}", addresses.link, inside_name);
  const Owned<rtnl_link> link(rtnl_link_veth_alloc());
  if (!link) return fail(ENOMEM, what);
  const Owned<rtnl_link> peer(rtnl_link_veth_get_peer(link.get()));
  const auto mac = to_nl(addresses.mac);
  const auto gateway_mac = to_nl(addresses.gateway_mac);
  if (!peer || !mac || !gateway_mac) return fail(ENOMEM, what);
  rtnl_link_set_name(link.get(), addresses.link.c_str());
  rtnl_link_set_addr(link.get(), gateway_mac.get());
  // NOARP: arp_rcv() drops what comes in before any table sees it, and nothing is ever asked.
  rtnl_link_set_flags(link.get(), IFF_NOARP);
  one_queue(link.get());
  rtnl_link_set_name(peer.get(), inside_name);
  rtnl_link_set_addr(peer.get(), mac.get());
  rtnl_link_set_ns_fd(peer.get(), desktop_namespace);
  one_queue(peer.get());
  nl_msg* message = nullptr;
  const int code = rtnl_link_build_add_request(link.get(), NLM_F_CREATE | NLM_F_EXCL, &message);
  return finished(code, message, std::move(what));
}

Result<Message> delete_link(const std::string& name) {
  std::string what = "delete link " + name;
  const Owned<rtnl_link> link(rtnl_link_alloc());
  if (!link) return fail(ENOMEM, what);
  rtnl_link_set_name(link.get(), name.c_str());
  nl_msg* message = nullptr;
  const int code = rtnl_link_build_delete_request(link.get(), &message);
  return finished(code, message, std::move(what));
}

Result<Message> get_link(const std::string& name) {
  nl_msg* message = nullptr;
  const int code = rtnl_link_build_get_request(0, name.c_str(), &message);
  return finished(code, message, "look up link " + name);
}

Message get_link(int index) {
  ifinfomsg info{};
  info.ifi_index = index;
  return link_message(RTM_GETLINK, 0, info, fmt::format("look up link {}", index));
}

Message dump_links() { return link_message(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{}, "list links"); }

Message link_up(int index) {
  ifinfomsg info{};
  info.ifi_index = index;
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  return link_message(RTM_NEWLINK, 0, info, fmt::format("bring up link {}", index));
}

Message link_down(int index) {
  ifinfomsg info{};
  info.ifi_index = index;
  info.ifi_change = IFF_UP;
  return link_message(RTM_NEWLINK, 0, info, fmt::format("take down link {}", index));
}

Message settle_link(int index, const Mac& mac) {
  ifinfomsg info{};
  info.ifi_index = index;
  info.ifi_flags = IFF_NOARP;
  info.ifi_change = IFF_UP | IFF_NOARP;
  Request request(RTM_SETLINK, 0, info, fmt::format("set MAC and flags of link {}", index));
  request.value(IFLA_ADDRESS, mac);
  return request.finish();
}

// By RTM_SETLINK: RTM_NEWLINK with a group, for a name that is not there, would mean all links of
// the group.
Message set_link_group(const std::string& name, std::uint32_t group) {
  Request request(RTM_SETLINK, 0, ifinfomsg{}, "put link " + name + " into a group");
  request.text(IFLA_IFNAME, name);
  request.u32(IFLA_GROUP, group);
  return request.finish();
}

Message delete_link_group(std::uint32_t group) {
  Request request(RTM_DELLINK, 0, ifinfomsg{}, "delete a group of links");
  request.u32(IFLA_GROUP, group);
  return request.finish();
}

Message move_link(int index, int network_namespace, const std::string& name) {
  ifinfomsg info{};
  info.ifi_index = index;
  Request request(RTM_SETLINK, 0, info, fmt::format("move link {} in as {}", index, name));
  request.u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(network_namespace));
  request.text(IFLA_IFNAME, name);
  return request.finish();
}

Result<Message> add_address(int index, const Ip& ip) {
  std::string what = "add address " + ip.text;
  const Owned<rtnl_addr> address(rtnl_addr_alloc());
  const auto local = to_nl(ip);
  if (!address || !local) return fail(ENOMEM, what);
  rtnl_addr_set_ifindex(address.get(), index);
  if (const int code = rtnl_addr_set_local(address.get(), local.get()); code < 0) {
    return build_failed(what, code);
  }
  if (ip.family == AF_INET6) rtnl_addr_set_flags(address.get(), IFA_F_NODAD);
  nl_msg* message = nullptr;
  const int code =
      rtnl_addr_build_add_request(address.get(), NLM_F_CREATE | NLM_F_REPLACE, &message);
  return finished(code, message, std::move(what));
}

Result<Message> add_host_route(int index, const Ip& destination) {
  return add_route(index, &destination, nullptr, "add route to " + destination.text);
}

Result<Message> add_default_route(int index, const Ip& gateway) {
  return add_route(index, nullptr, &gateway, "add default route via " + gateway.text);
}

// Not by sysctl: a namespace of another user namespace than the machine's shows none of these.
Message ask_for_nobody(int index, int family) {
  ndtmsg table{};
  table.ndtm_family = static_cast<std::uint8_t>(family);
  Request request(RTM_SETNEIGHTBL, 0, table, fmt::format("ask for nobody over link {}", index));
  request.text(NDTA_NAME, family == AF_INET6 ? "ndisc_cache" : "arp_cache");
  nlattr* settings = request.begin(NDTA_PARMS);
  request.u32(NDTPA_IFINDEX, static_cast<std::uint32_t>(index));
  request.u32(NDTPA_MCAST_PROBES, 0);
  request.end(settings);
  return request.finish();
}

Result<Message> add_neighbour(int index, const Ip& ip, const Mac& mac) {
  std::string what = "add neighbour " + ip.text;
  const Owned<rtnl_neigh> neighbour(rtnl_neigh_alloc());
  const auto address = to_nl(ip);
  const auto lladdr = to_nl(mac);
  if (!neighbour || !address || !lladdr) return fail(ENOMEM, what);
  rtnl_neigh_set_ifindex(neighbour.get(), index);
  rtnl_neigh_set_family(neighbour.get(), ip.family);
  rtnl_neigh_set_state(neighbour.get(), NUD_PERMANENT);
  rtnl_neigh_set_lladdr(neighbour.get(), lladdr.get());
  if (const int code = rtnl_neigh_set_dst(neighbour.get(), address.get()); code < 0) {
    return build_failed(what, code);
  }
  nl_msg* message = nullptr;
  const int code =
      rtnl_neigh_build_add_request(neighbour.get(), NLM_F_CREATE | NLM_F_REPLACE, &message);
  return finished(code, message, std::move(what));
}

}  // namespace panal::netconfine
