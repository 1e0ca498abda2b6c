#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/link/find_link.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// A link, with what it is set to as a bridge and as a port of one: numbers by their attribute
/// (IFLA_BR_*, IFLA_BRPORT_*); of a struct br_boolopt_multi the bits that are set.
struct BridgeLink {
  FoundLink link;
  std::map<std::uint16_t, std::uint32_t> bridge;  ///< empty: it is no bridge
  std::map<std::uint16_t, std::uint32_t> port;    ///< empty: it is no bridge's port
};

/// A MAC behind a port that is not the port's own.
struct PortMac {
  int port = 0;  ///< index of the link
  Mac mac{};
  bool entered = false;  ///< for good, by somebody; else seen there
  [[nodiscard]] auto operator<=>(const PortMac&) const = default;
};

/// What the kernel has of links and bridges.
struct BridgeState {
  std::vector<BridgeLink> links;
  std::vector<PortMac> macs;  ///< of our bridges, each once
};

/// `payload`: of an RTM_NEWLINK. Errors: EPROTO for one that is cut or lies about a length.
[[nodiscard]] Result<BridgeLink> parse_bridge_link(std::span<const std::byte> payload);
/// `payload`: of an RTM_NEWNEIGH. None for a port's own MAC, and for what is of no bridge.
/// Errors: likewise.
[[nodiscard]] Result<std::optional<PortMac>> parse_port_mac(std::span<const std::byte> payload);

/// Of the socket's namespace.
[[nodiscard]] Result<BridgeState> read_bridge_state(NetlinkSocket& socket);

}  // namespace panal::netconfine
