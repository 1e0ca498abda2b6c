#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "netconfine/address/address_pool.h"
#include "netconfine/bridge/shard.h"
#include "netconfine/netlink/socket.h"
#include "netconfine/policy/policy.h"

namespace panal::netconfine {

// rtnetlink requests about bridges (kernel: Documentation/networking/bridge.rst, if_link.h).

/// What a bridge, or a port of one, is to be set to, and what an audit compares.
struct BridgeSetting {
  std::uint16_t attribute = 0;  ///< IFLA_BR_* or IFLA_BRPORT_*
  std::uint8_t bytes = 0;       ///< 1, 2 or 4; 8: a struct br_boolopt_multi, of these bits
  std::uint32_t value = 0;
  const char* name = "";  ///< for people
  bool needed = false;    ///< a kernel without it is not good enough
  /// A new link has it so, and a kernel that lacks it refuses to be told even that: never asked
  /// for, but compared where the kernel says how it is.
  bool only_compared = false;
};

enum class PortKind : std::uint8_t {
  /// A desktop's. What it sends must come from a MAC that is entered for this port (locked, Linux
  /// 5.18); nothing is learnt from it, and what is for a MAC nobody has does not go to it.
  kMember,
  /// To another bridge of the same group: frames have been checked where they came in. Only what is
  /// for all goes over it; single mates are reached over routed links, and what is for a MAC that
  /// nobody has would go to all of a group's bridges.
  kTrunk,
};

/// A bridge runs no protocol of its own (no spanning tree, no listening to who wants which
/// multicast), knows no VLANs and passes no link protocols on, but for others' spanning trees:
/// those are the rules' to drop. What it bridges does not go to iptables.
[[nodiscard]] std::span<const BridgeSetting> bridge_settings();
[[nodiscard]] std::span<const BridgeSetting> port_settings(PortKind kind);

/// A bridge with these settings, up; one that is there is given them. Its MAC follows from its
/// name: otherwise it would be a port's, and change with them.
[[nodiscard]] Message put_bridge(const Shard& shard);
/// One setting of a bridge that is there. ENODEV where there is none.
[[nodiscard]] Message set_bridge(const Shard& shard, const BridgeSetting& setting);
/// Both ends of a trunk, down. EEXIST where there is one.
[[nodiscard]] Message add_trunk(const Shard& shard);
/// Makes one link a port of the other.
[[nodiscard]] Message set_master(int port, int bridge);
/// Makes a link nobody's port.
[[nodiscard]] Message free_port(int port);
/// A kernel that lacks one of a port's settings passes over it without a word: the audit says so
/// of those that are needed.
[[nodiscard]] Message set_port(int port, PortKind kind);
/// Enters a MAC for a port for good: it moves to no other by what is seen there.
[[nodiscard]] Message add_static_mac(int port, const Mac& mac);
/// Of any kind. ENOENT when there is none.
[[nodiscard]] Message delete_mac(int port, const Mac& mac);
/// Takes a desktop's port down, at once, and into the group of links that delete_leaving() deletes.
[[nodiscard]] Message set_leaving(DesktopId id);
/// ENODEV when there is none.
[[nodiscard]] Message delete_leaving();
/// A question for NetlinkSocket::query: which MACs are behind which ports of a bridge.
[[nodiscard]] Message list_macs(int bridge);

// For the desktop's end.

/// A host address, with the address by which its group is addressed as a whole.
[[nodiscard]] Message add_broadcast_address(int index, const Ipv4& address, const Ipv4& broadcast);
/// To a prefix, straight over a link.
[[nodiscard]] Message add_link_route(int index, const Prefix& to);
/// IPv6 multicast over this link rather than another: the kernel has a route of each.
[[nodiscard]] Message prefer_for_multicast6(int index);

}  // namespace panal::netconfine
