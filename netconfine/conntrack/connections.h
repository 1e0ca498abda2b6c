#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// A connection that the kernel tracks (nf_conntrack), as its first packet was.
struct Connection {
  bool v6 = false;
  Ipv4 from4{}, to4{};
  Ipv6 from6{}, to6{};
  std::uint8_t protocol = 0;    ///< IPPROTO_*
  std::uint16_t from_port = 0;  ///< of protocols with ports
  std::uint16_t to_port = 0;
  std::uint8_t icmp_type = 0;  ///< of both families' ICMP
  std::vector<std::byte> key;  ///< attributes by which the kernel finds it again
};

/// A connection out of the kernel's list. Errors: EPROTO when it is cut short or has no addresses.
[[nodiscard]] Result<Connection> parse_tracked(const nlmsghdr* message);

/// The tracked connections of a network namespace. Not thread-safe.
class ConnectionTable {
 public:
  /// For the network namespace of the calling thread. Errors: those of NetlinkSocket::open.
  [[nodiscard]] static Result<ConnectionTable> open();
  explicit ConnectionTable(NetlinkSocket socket) : socket_(std::move(socket)) {}

  /// All of them; one that comes or goes meanwhile may be missing. Errors: those of the kernel
  /// (EOPNOTSUPP, EINVAL without nf_conntrack_netlink).
  [[nodiscard]] Result<std::vector<Connection>> list();
  /// Makes the kernel forget those that `which` is true for: their next packet is a first one.
  /// The number of them. Kernel: IPCTNL_MSG_CT_DELETE.
  [[nodiscard]] Result<std::size_t> forget(const std::function<bool(const Connection&)>& which);

 private:
  NetlinkSocket socket_;
};

}  // namespace panal::netconfine
