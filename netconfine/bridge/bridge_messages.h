#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/link/route_messages.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

// rtnetlink requests about bridges. Kernel: Documentation/networking/bridge, if_link.h.

/// A bridge, down, that runs no protocol of its own: no STP, no snooping of multicast, no ageing;
/// frames to its own group addresses are not passed on. No IPv6 link-local address.
[[nodiscard]] Message add_bridge(const std::string& name);
/// A veth of two links here, both down.
[[nodiscard]] Message add_veth_pair(const std::string& name, const std::string& peer);
/// Makes `port` a port of `bridge` (indices).
[[nodiscard]] Message set_master(int port, int bridge);

enum class PortKind : std::uint8_t {
  /// A desktop's: what it sends must come from a MAC that is entered for this port (locked, since
  /// Linux 5.18); nothing is learnt from it; frames to MACs nobody has do not go to it; the bridge
  /// answers for neighbours (neigh_suppress); spanning tree messages shut it (guard).
  kDesktop,
  /// To another bridge of the same group, whose ports have been checked there.
  kTrunk,
};
/// Flags of a port. A kernel that has not got one refuses all.
[[nodiscard]] Message set_port_flags(int port, PortKind kind);
/// Enters a MAC for a port, for good.
[[nodiscard]] Message add_static_mac(int port, const Mac& mac);
/// A permanent neighbour of the bridge, by which it answers for it. Down bridges take none.
[[nodiscard]] Result<Message> add_bridge_neighbour(int bridge, const Ip& address, const Mac& mac);
/// A route to a whole prefix straight over a link.
[[nodiscard]] Message add_prefix_route(int index, const Ip& network, std::uint8_t length);

}  // namespace panal::netconfine
