#include "netconfine/bridge/group_bridges.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <map>
#include <utility>

#include "engine/base/cleanup.h"
#include "netconfine/bridge/bridge_messages.h"
#include "netconfine/link/route_messages.h"
#include "netconfine/netlink/enter.h"

namespace panal::netconfine {
namespace {

constexpr const char* kGroupLinkPrefix = "png";

std::vector<Message> one(Message message) {
  std::vector<Message> messages;
  messages.push_back(std::move(message));
  return messages;
}

Result<void> configure_inside(const Addresses& addresses, const GroupPrefixes& prefixes) {
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
  int index = 0;
  PANAL_ASSIGN(auto question, get_link(kGroupInsideName));
  PANAL_TRY(socket.query(std::move(question), [&](const nlmsghdr* message) {
    index = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message))->ifi_index;
  }));
  PANAL_ASSIGN(auto address4, add_address(index, Ip(addresses.ipv4)));
  PANAL_ASSIGN(auto address6, add_address(index, Ip(addresses.ipv6)));
  std::vector<Message> messages;
  messages.push_back(link_up(index));
  messages.push_back(std::move(address4));
  messages.push_back(std::move(address6));
  messages.push_back(add_prefix_route(index, Ip(prefixes.network4), prefixes.length4));
  messages.push_back(add_prefix_route(index, Ip(prefixes.network6), prefixes.length6));
  auto done = socket.transact(std::move(messages));
  if (!done) return prefixed(kGroupInsideName, std::move(done.error()));
  return {};
}

}  // namespace

std::string group_link_name(DesktopId id) { return fmt::format("{}{}", kGroupLinkPrefix, id); }

DesktopId id_of_group_link(const std::string& name) {
  if (!name.starts_with(kGroupLinkPrefix)) return 0;
  return id_of_link("pnl" + name.substr(std::string_view(kGroupLinkPrefix).size()));
}

std::string bridge_name(std::uint32_t group, unsigned number) {
  return fmt::format("pnb{}-{}", group, number);
}

Result<GroupBridges> GroupBridges::open(unsigned ports) {
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
  return GroupBridges(std::move(socket), ports);
}

Result<void> GroupBridges::send(std::vector<Message> messages) {
  return socket_.transact(std::move(messages));
}

Result<std::vector<GroupBridges::Link>> GroupBridges::links() {
  constexpr int kAttempts = 10;
  for (int attempt = 1;; ++attempt) {
    std::vector<Link> links;
    auto listed = socket_.query(dump_links(), [&](const nlmsghdr* message) {
      if (message->nlmsg_type != RTM_NEWLINK) return;
      Link link;
      link.index = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message))->ifi_index;
      const auto take = [](const nlattr* attribute, void* to) -> int {
        auto& found = *static_cast<Link*>(to);
        if (mnl_attr_get_type(attribute) == IFLA_IFNAME) found.name = mnl_attr_get_str(attribute);
        if (mnl_attr_get_type(attribute) == IFLA_MASTER)
          found.master = static_cast<int>(mnl_attr_get_u32(attribute));
        return MNL_CB_OK;
      };
      mnl_attr_parse(message, sizeof(ifinfomsg), take, &link);
      links.push_back(std::move(link));
    });
    if (listed) return links;
    if (listed.error().code != EINTR || attempt == kAttempts)
      return tl::make_unexpected(std::move(listed.error()));
  }
}

Result<int> GroupBridges::index_of(const std::string& name) {
  PANAL_ASSIGN(auto question, get_link(name));
  int index = 0;
  PANAL_TRY(socket_.query(std::move(question), [&](const nlmsghdr* message) {
    index = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message))->ifi_index;
  }));
  if (index == 0) return fail(EPROTO, "look up link " + name);
  return index;
}

Result<int> GroupBridges::make_bridge(std::uint32_t group, unsigned number) {
  const std::string name = bridge_name(group, number);
  PANAL_TRY(send(one(add_bridge(name))));
  PANAL_ASSIGN(const int index, index_of(name));
  PANAL_TRY(send(one(link_up(index))));
  if (number > 0) PANAL_TRY(connect(group, number));
  return index;
}

/// A veth from bridge `number` to bridge 0.
Result<void> GroupBridges::connect(std::uint32_t group, unsigned number) {
  const std::string far = fmt::format("pnt{}-{}", group, number);
  const std::string near = fmt::format("pnu{}-{}", group, number);
  PANAL_TRY(send(one(add_veth_pair(far, near))));
  for (const auto& [end, bridge] : {std::pair{far, number}, {near, 0U}}) {
    PANAL_ASSIGN(const int port, index_of(end));
    PANAL_ASSIGN(const int master, index_of(bridge_name(group, bridge)));
    PANAL_TRY(send(one(set_master(port, master))));
    PANAL_TRY(send(one(set_port_flags(port, PortKind::kTrunk))));
    PANAL_TRY(send(one(link_up(port))));
  }
  return {};
}

Result<int> GroupBridges::bridge_with_room(std::uint32_t group) {
  PANAL_ASSIGN(const auto all, links());
  std::map<int, unsigned> desktops;  // by bridge
  for (const auto& link : all)
    if (id_of_group_link(link.name) != 0) ++desktops[link.master];
  for (unsigned number = 0;; ++number) {
    const std::string name = bridge_name(group, number);
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Link& link) { return link.name == name; });
    if (found == all.end()) return make_bridge(group, number);
    if (desktops[found->index] < ports_) return found->index;
  }
}

Result<void> GroupBridges::join(std::uint32_t group, const Addresses& addresses,
                                const UniqueFd& desktop_namespace, const GroupPrefixes& prefixes) {
  if (group < 1 || group > 65535)
    return fail(EINVAL, fmt::format("join group {}: groups are 1 to 65,535", group));
  const DesktopId id = id_of_link(addresses.link);
  if (id == 0) return fail(EINVAL, "join a group: no desktop has the link " + addresses.link);
  Addresses own = addresses;
  own.link = group_link_name(id);
  PANAL_ASSIGN(const int bridge, bridge_with_room(group));
  PANAL_ASSIGN(auto pair, add_veth(own, kGroupInsideName, desktop_namespace.get()));
  PANAL_TRY(send(one(std::move(pair))));
  Cleanup undo;
  undo.push([&] {
    // What is left is deleted with the desktop's namespace.
    if (auto gone = delete_link(own.link)) (void)send(one(std::move(*gone)));
  });
  PANAL_ASSIGN(const int port, index_of(own.link));
  PANAL_TRY(send(one(set_master(port, bridge))));
  PANAL_TRY(send(one(set_port_flags(port, PortKind::kDesktop))));
  PANAL_TRY(send(one(add_static_mac(port, own.mac))));
  PANAL_ASSIGN(auto neighbour4, add_bridge_neighbour(bridge, Ip(own.ipv4), own.mac));
  PANAL_ASSIGN(auto neighbour6, add_bridge_neighbour(bridge, Ip(own.ipv6), own.mac));
  PANAL_TRY(send(one(std::move(neighbour4))));
  PANAL_TRY(send(one(std::move(neighbour6))));
  PANAL_TRY(run_inside(desktop_namespace, [&] { return configure_inside(own, prefixes); }));
  PANAL_TRY(send(one(link_up(port))));
  undo.release();
  return {};
}

Result<void> GroupBridges::leave(const Addresses& addresses) {
  PANAL_ASSIGN(auto gone, delete_link(group_link_name(id_of_link(addresses.link))));
  auto done = send(one(std::move(gone)));
  if (!done && !done.error().is_gone()) return done;
  return {};
}

Result<void> GroupBridges::remove_group(std::uint32_t group) {
  PANAL_ASSIGN(const auto all, links());
  const std::string bridges = fmt::format("pnb{}-", group);
  const std::string trunks = fmt::format("pnt{}-", group);
  for (const auto& link : all) {
    if (!link.name.starts_with(bridges) && !link.name.starts_with(trunks)) continue;
    PANAL_ASSIGN(auto gone, delete_link(link.name));
    auto done = send(one(std::move(gone)));
    if (!done && !done.error().is_gone()) return done;
  }
  return {};
}

Result<std::vector<GroupBridges::Port>> GroupBridges::ports() {
  PANAL_ASSIGN(const auto all, links());
  std::map<int, std::string> names;
  for (const auto& link : all) names[link.index] = link.name;
  std::vector<Port> ports;
  for (const auto& link : all) {
    const DesktopId id = id_of_group_link(link.name);
    if (id != 0) ports.push_back({id, link.master == 0 ? std::string() : names[link.master]});
  }
  return ports;
}

}  // namespace panal::netconfine
