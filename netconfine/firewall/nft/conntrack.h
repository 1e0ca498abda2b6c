#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/netlink/socket.h"

struct nlmsghdr;

namespace panal::netconfine {

/// Who opened a connection, with whom: addresses in network byte order, 4 or 16 bytes.
struct ConnectionEnds {
  std::vector<std::uint8_t> source, destination;
};
/// In one message of conntrack's listing. Errors: EPROTO without two addresses of one family.
[[nodiscard]] Result<ConnectionEnds> parse_connection(const nlmsghdr* message);

/// Ends all connections with one of `addresses` (as ConnectionEnds has them) in the socket's
/// network namespace: what comes later begins anew. Costs a walk over all connections of the
/// namespace, and next to nothing when there are none.
[[nodiscard]] Result<void> end_connections(NetlinkSocket& socket,
                                           const std::set<std::vector<std::uint8_t>>& addresses);

}  // namespace panal::netconfine
