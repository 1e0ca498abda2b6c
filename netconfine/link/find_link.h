#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// A link as the kernel lists it.
struct FoundLink {
  int index = 0;
  std::string name;
  std::string alias;  ///< free text an administrator, or we, have given it
  std::string kind;   ///< "veth", "ifb", "macvlan", "tun"; "" for a real card
  std::uint32_t group = 0;
  int peer = 0;             ///< index of a veth's other end, of the link below a macvlan
  int peer_namespace = -1;  ///< the peer's, by namespace_number(); -1: this one's
  int master = 0;           ///< index of the bridge that it is a port of; 0: none
  bool up = false;
  std::vector<std::uint8_t> mac;
};

/// `payload`: of an RTM_NEWLINK. Errors: EPROTO for one that is cut or lies about a length.
[[nodiscard]] Result<FoundLink> parse_link(std::span<const std::byte> payload);

/// Errors: ENODEV.
[[nodiscard]] Result<FoundLink> find_link(NetlinkSocket& socket, const std::string& name);
[[nodiscard]] Result<FoundLink> find_link(NetlinkSocket& socket, int index);
/// What the socket's namespace calls another one in its links; -1: no link leads there.
[[nodiscard]] Result<int> namespace_number(NetlinkSocket& socket, const UniqueFd& other);
/// All links of the socket's namespace.
[[nodiscard]] Result<std::vector<FoundLink>> all_links(NetlinkSocket& socket);

}  // namespace panal::netconfine
