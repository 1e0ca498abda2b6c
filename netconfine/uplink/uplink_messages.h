#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "engine/base/result.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/netlink/socket.h"
#include "netconfine/policy/policy.h"

namespace panal::netconfine {

// rtnetlink requests that only uplinks need; those of desktops' links are in link/route_messages.h.

/// A pair: `name` here, `peer` in the namespace of a descriptor; both down, no ARP.
[[nodiscard]] Message add_veth_pair(const std::string& name, const Mac& mac,
                                    const std::string& peer, const Mac& peer_mac,
                                    int peer_namespace);
/// On `parent`, a link of the socket's namespace; made as `name` in that of a descriptor. Private:
/// it hears no other macvlan, nor the host.
[[nodiscard]] Message add_macvlan(int parent, const std::string& name, const Mac& mac,
                                  int network_namespace);
[[nodiscard]] Message set_alias(int index, const std::string& alias);
[[nodiscard]] Message set_link_down(int index);
/// To a prefix over a router that need not be in any network of the link; without one straight over
/// the link. Replaces one that is there.
[[nodiscard]] Message put_route(int index, const Prefix& to, const Prefix* router);

/// A prefix that leads nowhere unless a longer one in it leads somewhere.
[[nodiscard]] Message put_blackhole(const Prefix& to);
[[nodiscard]] Message delete_blackhole(const Prefix& to);

/// A question for NetlinkSocket::query.
[[nodiscard]] Message list_routes(bool v6);

struct FoundRoute {
  Prefix to;
  int index = 0;            ///< of the link; 0: none, or several
  std::uint32_t table = 0;  ///< RT_TABLE_*
  bool over_router = false;
};
/// None for what leads nowhere (local, broadcast, multicast, blackholes). `payload`: of
/// RTM_NEWROUTE. Errors: EPROTO for one that is cut or lies about a length.
[[nodiscard]] Result<std::optional<FoundRoute>> parse_route(std::span<const std::byte> payload);
/// Those of both families in the main table.
[[nodiscard]] Result<std::vector<FoundRoute>> all_routes(NetlinkSocket& socket);

}  // namespace panal::netconfine
