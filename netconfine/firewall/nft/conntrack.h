#pragma once

#include <cstdint>
#include <functional>
#include <set>
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

/// Addresses of both families, as ConnectionEnds has them.
using AddressSet = std::set<std::vector<std::uint8_t>>;

/// Ends all connections in the socket's network namespace that `which` is true for: what comes
/// later begins anew. Costs a listing of all connections of the namespace, and next to nothing when
/// there are none.
[[nodiscard]] Result<void> end_connections(NetlinkSocket& socket,
                                           const std::function<bool(const ConnectionEnds&)>& which);

}  // namespace panal::netconfine
