#include "netconfine/bridge/group_bridges.h"

#include <fmt/format.h>
#include <linux/netlink.h>

#include <algorithm>
#include <utility>

#include "engine/base/cleanup.h"
#include "netconfine/bridge/bridge_messages.h"
#include "netconfine/bridge/bridge_repair.h"
#include "netconfine/bridge/bridge_state.h"
#include "netconfine/link/find_link.h"
#include "netconfine/link/route_messages.h"
#include "netconfine/link/routed_veth.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/netlink/steps.h"

namespace panal::netconfine {

Result<GroupBridges> GroupBridges::open(unsigned most) {
  if (most < 1 || most > kMostMembers)
    return fail(EINVAL, fmt::format("open groups' bridges: {} desktops on one bridge; 1 to {} are "
                                    "possible",
                                    most, kMostMembers));
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
  return GroupBridges(std::move(socket), most);
}

Result<void> GroupBridges::tell(Message message) {
  std::vector<Message> messages;
  messages.push_back(std::move(message));
  return socket_.transact(std::move(messages));
}

Result<std::optional<FoundLink>> GroupBridges::look_up(const std::string& name) {
  auto found = find_link(socket_, name);
  if (found) return std::optional<FoundLink>(std::move(*found));
  if (found.error().is_gone()) return std::optional<FoundLink>();
  return tl::make_unexpected(std::move(found.error()));
}

Result<void> GroupBridges::must_be_of(DesktopId id, const UniqueFd& desktop_namespace) {
  PANAL_ASSIGN(const auto routed, look_up(link_name(id)));
  if (!routed || routed->kind != "veth") return {};
  PANAL_ASSIGN(const int inside, namespace_number(socket_, desktop_namespace));
  if (inside == routed->peer_namespace) return {};
  return fail(EXDEV, fmt::format("put {} on its group's bridge: {} leads into another network "
                                 "namespace than the one that was given",
                                 member_name(id), link_name(id)));
}

Result<std::optional<FoundLink>> GroupBridges::whole_port(const std::string& port,
                                                          std::uint32_t group,
                                                          const UniqueFd& desktop_namespace) {
  PANAL_ASSIGN(auto found, look_up(port));
  if (!found || !found->up || found->master == 0) return std::nullopt;
  const auto bridge = find_link(socket_, found->master);
  if (!bridge && !bridge.error().is_gone()) return tl::make_unexpected(bridge.error());
  const auto shard = bridge ? shard_of_bridge(bridge->name) : std::nullopt;
  if (!shard || shard->group != group) return std::nullopt;
  // An earlier life of the desktop may have left it, or somebody else may have made it.
  PANAL_ASSIGN(const int inside, namespace_number(socket_, desktop_namespace));
  if (inside == -1 || found->peer_namespace != inside) return std::nullopt;
  return found;
}

Result<Shard> GroupBridges::shard_with_room(std::uint32_t group) {
  const auto shard = with_room(members_, group, most_);
  if (shard && members_.contains(*shard)) return *shard;
  // Before another one is made: some may have left.
  PANAL_ASSIGN(const auto links, all_links(socket_));
  members_ = occupancy(links);
  return with_room(members_, group, most_);
}

Result<int> GroupBridges::ready(const Shard& shard) {
  Ready indices;
  if (shard.number != 0) {
    PANAL_ASSIGN(indices.hub, ready({shard.group, 0}));
  }
  const auto known = ready_.find(shard);
  if (known != ready_.end()) {
    PANAL_ASSIGN(const auto there, look_up(bridge_name(shard)));
    indices.bridge = there ? there->index : 0;
    if (shard.number == 0) indices.hub = indices.bridge;
    if (indices == known->second) return indices.bridge;
    ready_.erase(known);
  }
  PANAL_TRY(tell(put_bridge(shard)));
  PANAL_ASSIGN(const auto bridge, find_link(socket_, bridge_name(shard)));
  indices.bridge = bridge.index;
  if (shard.number == 0) {
    indices.hub = bridge.index;
  } else {
    PANAL_TRY(connect(shard, indices));
  }
  ready_[shard] = indices;
  return bridge.index;
}

Result<void> GroupBridges::connect(const Shard& shard, const Ready& indices) {
  std::vector<Step> steps;
  steps.push_back({add_trunk(shard), {EEXIST}});
  PANAL_TRY(carry_out(socket_, std::move(steps)));
  for (const auto& [name, bridge] : {std::pair(trunk_name(shard), indices.bridge),
                                     std::pair(hub_trunk_name(shard), indices.hub)}) {
    PANAL_ASSIGN(const auto end, find_link(socket_, name));
    std::vector<Message> messages;
    messages.push_back(set_master(end.index, bridge));
    messages.push_back(set_port(end.index, PortKind::kTrunk));
    messages.push_back(link_up(end.index));
    auto done = socket_.transact(std::move(messages));
    if (!done) return prefixed(name, std::move(done.error()));
  }
  return {};
}

Result<void> GroupBridges::join(std::uint32_t group, const Addresses& addresses,
                                const UniqueFd& desktop_namespace, const GroupPrefixes& prefixes) {
  const DesktopId id = id_of_link(addresses.link);
  if (group == 0 || id == 0)
    return fail(EINVAL,
                fmt::format("put {} on the bridge of group {:08x}: no such desktop or group",
                            addresses.link, group));
  Addresses own = addresses;
  own.link = member_name(id);
  auto done = put_on(group, own, desktop_namespace, prefixes);
  // What was there before may be another group's, or set up otherwise.
  if (!done) (void)leave(id);
  return done;
}

Result<void> GroupBridges::put_on(std::uint32_t group, const Addresses& own,
                                  const UniqueFd& desktop_namespace,
                                  const GroupPrefixes& prefixes) {
  PANAL_TRY(must_be_of(id_of_member(own.link), desktop_namespace));
  PANAL_ASSIGN(const auto there, whole_port(own.link, group, desktop_namespace));
  if (there) {
    std::vector<Message> messages;
    messages.push_back(set_port(there->index, PortKind::kMember));
    messages.push_back(add_static_mac(there->index, own.mac));
    return socket_.transact(std::move(messages));
  }
  PANAL_TRY(leave(id_of_member(own.link)));
  PANAL_ASSIGN(const Shard shard, shard_with_room(group));
  PANAL_ASSIGN(const int bridge, ready(shard));
  auto added = add_port(own, bridge, desktop_namespace, prefixes);
  if (!added) return prefixed(own.link, std::move(added.error()));
  ++members_[shard];
  return {};
}

Result<void> GroupBridges::add_port(const Addresses& own, int bridge,
                                    const UniqueFd& desktop_namespace,
                                    const GroupPrefixes& prefixes) {
  PANAL_TRY(run_inside(desktop_namespace, prepare_desktop_namespace));
  PANAL_ASSIGN(auto pair, add_veth(own, kGroupInsideName, desktop_namespace.get()));
  PANAL_TRY(tell(std::move(pair)));
  // What cannot be undone is down, and goes with the next join or the desktop's namespace.
  Cleanup undo([&] { (void)leave(id_of_member(own.link)); });
  PANAL_ASSIGN(const auto port, find_link(socket_, own.link));
  std::vector<Message> messages;
  messages.push_back(set_master(port.index, bridge));
  messages.push_back(set_port(port.index, PortKind::kMember));
  messages.push_back(add_static_mac(port.index, own.mac));
  PANAL_TRY(socket_.transact(std::move(messages)));
  PANAL_TRY(run_inside(desktop_namespace, [&] { return configure_group_end(own, prefixes); }));
  PANAL_TRY(tell(link_up(port.index)));
  undo.release();
  return {};
}

Result<void> GroupBridges::leave(DesktopId id) { return leave(std::span(&id, 1)); }

Result<void> GroupBridges::leave(std::span<const DesktopId> ids) {
  std::vector<Step> steps;
  for (const DesktopId id : ids) steps.push_back({set_leaving(id), {ENODEV}});
  if (steps.empty()) return {};
  // One wait of the kernel's for all of them.
  steps.push_back({delete_leaving(), {ENODEV}});
  return carry_out(socket_, std::move(steps));
}

Result<std::vector<GroupPort>> GroupBridges::ports() {
  PANAL_ASSIGN(const auto links, all_links(socket_));
  std::map<int, Shard> bridges;
  for (const FoundLink& link : links)
    if (const auto shard = shard_of_bridge(link.name)) bridges[link.index] = *shard;
  std::vector<GroupPort> ports;
  for (const FoundLink& link : links) {
    const DesktopId id = id_of_member(link.name);
    if (id == 0) continue;
    GroupPort port{id, std::nullopt, link.up};
    const auto bridge = bridges.find(link.master);
    if (bridge != bridges.end()) port.bridge = bridge->second;
    ports.push_back(port);
  }
  std::sort(ports.begin(), ports.end(),
            [](const GroupPort& a, const GroupPort& b) { return a.id < b.id; });
  return ports;
}

Result<void> GroupBridges::remove_empty() {
  PANAL_ASSIGN(const auto links, all_links(socket_));
  std::vector<Step> steps;
  for (const std::string& name : unused_links(links)) {
    PANAL_ASSIGN(auto message, delete_link(name));
    steps.push_back({std::move(message), {ENODEV}});
  }
  members_.clear();
  ready_.clear();
  return carry_out(socket_, std::move(steps));
}

Result<void> GroupBridges::repair(std::span<const GroupMember> meant) {
  PANAL_ASSIGN(const auto found, read_bridge_state(socket_));
  BridgeRepair wanted = bridge_repair(meant, found);
  PANAL_TRY(leave(wanted.leave));
  PANAL_TRY(carry_out(socket_, std::move(wanted.steps)));
  // What was known of them may be what was changed.
  ready_.clear();
  members_.clear();
  for (const Shard& shard : wanted.bridges) PANAL_TRY(ready(shard));
  return {};
}

Result<std::vector<Drift>> GroupBridges::audit(std::span<const GroupMember> meant) {
  PANAL_ASSIGN(const auto found, read_bridge_state(socket_));
  return bridge_differences(meant, found);
}

}  // namespace panal::netconfine
