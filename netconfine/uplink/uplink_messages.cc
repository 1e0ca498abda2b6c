#include "netconfine/uplink/uplink_messages.h"

#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <algorithm>

#include "netconfine/netlink/attributes.h"
#include "netconfine/netlink/dump.h"
#include "netconfine/netlink/request.h"
#include "netconfine/policy/prefix.h"

namespace panal::netconfine {
namespace {

constexpr std::size_t bytes_of(bool v6) { return v6 ? 16 : 4; }

void put_address(Request& request, std::uint16_t type, const Prefix& address) {
  if (address.v6) {
    request.value(type, address.bytes);
  } else {
    Ipv4 four{};
    std::copy_n(address.bytes.begin(), four.size(), four.begin());
    request.value(type, four);
  }
}

Message blackhole(int type, int flags, const Prefix& to, const char* verb) {
  rtmsg route{};
  route.rtm_family = static_cast<unsigned char>(to.v6 ? AF_INET6 : AF_INET);
  route.rtm_dst_len = to.length;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_type = RTN_BLACKHOLE;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  Request request(type, flags, route, fmt::format("{} blackhole {}", verb, to_string(to)));
  put_address(request, RTA_DST, to);
  return request.finish();
}

ifinfomsg without_arp() {
  ifinfomsg info{};
  info.ifi_flags = IFF_NOARP;
  info.ifi_change = IFF_NOARP;
  return info;
}

}  // namespace

Message add_veth_pair(const std::string& name, const Mac& mac, const std::string& peer,
                      const Mac& peer_mac, int peer_namespace) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, without_arp(),
                  fmt::format("add link {} with peer {}", name, peer));
  request.text(IFLA_IFNAME, name);
  request.value(IFLA_ADDRESS, mac);
  nlattr* info = request.begin(IFLA_LINKINFO);
  request.text(IFLA_INFO_KIND, "veth");
  nlattr* data = request.begin(IFLA_INFO_DATA);
  nlattr* other = request.begin(VETH_INFO_PEER);
  request.fixed(without_arp());
  request.text(IFLA_IFNAME, peer);
  request.value(IFLA_ADDRESS, peer_mac);
  request.u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(peer_namespace));
  request.end(other);
  request.end(data);
  request.end(info);
  return request.finish();
}

Message add_macvlan(int parent, const std::string& name, const Mac& mac, int network_namespace) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{},
                  fmt::format("add macvlan {} on link {}", name, parent));
  request.text(IFLA_IFNAME, name);
  request.u32(IFLA_LINK, static_cast<std::uint32_t>(parent));
  request.value(IFLA_ADDRESS, mac);
  request.u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(network_namespace));
  nlattr* info = request.begin(IFLA_LINKINFO);
  request.text(IFLA_INFO_KIND, "macvlan");
  nlattr* data = request.begin(IFLA_INFO_DATA);
  request.u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_PRIVATE);
  request.end(data);
  request.end(info);
  return request.finish();
}

Message set_alias(int index, const std::string& alias) {
  ifinfomsg info{};
  info.ifi_index = index;
  Request request(RTM_SETLINK, 0, info, fmt::format("set the alias of link {}", index));
  request.text(IFLA_IFALIAS, alias);
  return request.finish();
}

Message set_link_down(int index) {
  ifinfomsg info{};
  info.ifi_index = index;
  info.ifi_change = IFF_UP;
  return Request(RTM_SETLINK, 0, info, fmt::format("take down link {}", index)).finish();
}

Message put_route(int index, const Prefix& to, const Prefix* router) {
  rtmsg route{};
  route.rtm_family = static_cast<unsigned char>(to.v6 ? AF_INET6 : AF_INET);
  route.rtm_dst_len = to.length;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_type = RTN_UNICAST;
  route.rtm_scope =
      static_cast<unsigned char>(router != nullptr || to.v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  if (router != nullptr) route.rtm_flags = RTNH_F_ONLINK;
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route,
                  "add route to " + to_string(to));
  if (to.length != 0) put_address(request, RTA_DST, to);
  if (router != nullptr) put_address(request, RTA_GATEWAY, *router);
  request.u32(RTA_OIF, static_cast<std::uint32_t>(index));
  return request.finish();
}

Message put_blackhole(const Prefix& to) {
  return blackhole(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, to, "add");
}

Message delete_blackhole(const Prefix& to) { return blackhole(RTM_DELROUTE, 0, to, "delete"); }

Message list_routes(bool v6) {
  rtmsg route{};
  route.rtm_family = static_cast<unsigned char>(v6 ? AF_INET6 : AF_INET);
  return Request(RTM_GETROUTE, NLM_F_DUMP, route, "list routes").finish();
}

Result<std::optional<FoundRoute>> parse_route(std::span<const std::byte> payload) {
  const auto route = read_value<rtmsg>(payload);
  if (!route) return fail(EPROTO, "netlink: a cut route");
  const bool v6 = route->rtm_family == AF_INET6;
  if (route->rtm_family != AF_INET && !v6) return std::nullopt;
  FoundRoute found;
  found.to.v6 = v6;
  found.to.length = route->rtm_dst_len;
  found.table = route->rtm_table;
  if (found.to.length > bytes_of(v6) * 8) return fail(EPROTO, "netlink: a route past its family");
  Attributes walk(attributes_after(payload, sizeof(rtmsg)));
  while (const auto one = walk.next()) {
    switch (one->type) {
      case RTA_DST:
        if (one->payload.size() < bytes_of(v6)) return fail(EPROTO, "netlink: a cut address");
        for (std::size_t i = 0; i < bytes_of(v6); ++i) {
          found.to.bytes[i] = std::to_integer<std::uint8_t>(one->payload[i]);
        }
        break;
      case RTA_OIF:
        found.index = static_cast<int>(read_value<std::uint32_t>(one->payload).value_or(0));
        break;
      case RTA_TABLE:
        found.table = read_value<std::uint32_t>(one->payload).value_or(found.table);
        break;
      case RTA_GATEWAY:
      case RTA_VIA: found.over_router = true; break;
      default: break;
    }
  }
  if (walk.broken()) return fail(EPROTO, "netlink: an attribute longer than its route");
  if (route->rtm_type != RTN_UNICAST) return std::nullopt;
  return found;
}

Result<std::vector<FoundRoute>> all_routes(NetlinkSocket& socket) {
  std::vector<FoundRoute> all;
  for (const bool v6 : {false, true}) {
    std::vector<FoundRoute> routes;
    Result<void> parsed;
    PANAL_TRY(dump(
        socket, list_routes(v6), [&] { routes.clear(); },
        [&](const nlmsghdr* message) {
          if (message->nlmsg_type != RTM_NEWROUTE) return;
          auto route = parse_route(payload_of(message));
          if (!route) {
            if (parsed) parsed = tl::make_unexpected(std::move(route.error()));
          } else if (*route && (*route)->table == RT_TABLE_MAIN) {
            routes.push_back(**route);
          }
        }));
    PANAL_TRY(std::move(parsed));
    all.insert(all.end(), routes.begin(), routes.end());
  }
  return all;
}

}  // namespace panal::netconfine
