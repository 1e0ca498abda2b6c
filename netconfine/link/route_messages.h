#pragma once

#include <string>

#include "engine/base/result.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

// rtnetlink requests, built by libnl-route and sent by NetlinkSocket (which keeps the kernel's
// errno and words, where libnl maps them to codes of its own). Errors: ENOMEM, EINVAL.

[[nodiscard]] Result<Message> add_veth(const Addresses& addresses, const char* inside_name,
                                       int desktop_namespace);
[[nodiscard]] Result<Message> delete_link(const std::string& name);
[[nodiscard]] Result<Message> get_link(const std::string& name);
[[nodiscard]] Message get_link(int index);
[[nodiscard]] Message dump_links();
[[nodiscard]] Message link_up(int index);
[[nodiscard]] Message link_down(int index);
/// Down, with this MAC and without ARP: as the host end of a new veth is.
[[nodiscard]] Message settle_link(int index, const Mac& mac);
[[nodiscard]] Message set_link_group(const std::string& name, std::uint32_t group);
/// Removes all links of a group. ENODEV when there is none.
[[nodiscard]] Message delete_link_group(std::uint32_t group);
/// To another network namespace, under a name that is free there. The kernel takes it down.
[[nodiscard]] Message move_link(int index, int network_namespace, const std::string& name);

/// An IP address of either family, as libnl wants it.
struct Ip {
  int family;
  const void* bytes;
  unsigned length_bytes;
  std::string text;

  explicit Ip(const Ipv4& address);
  explicit Ip(const Ipv6& address);
};

/// A host address (/32, /128), without duplicate address detection.
[[nodiscard]] Result<Message> add_address(int index, const Ip& address);
/// A host route (/32, /128) straight over the link.
[[nodiscard]] Result<Message> add_host_route(int index, const Ip& destination);
/// A default route over a gateway that need not be in any prefix of the link (onlink).
[[nodiscard]] Result<Message> add_default_route(int index, const Ip& gateway);
/// Over this link nobody is asked for any more: where there is no neighbour's entry, sending fails
/// at once, and the entry for that is the first to go when the kernel's table, one for all network
/// namespaces, is full. `family`: AF_INET or AF_INET6.
[[nodiscard]] Message ask_for_nobody(int index, int family);
/// A permanent neighbour.
[[nodiscard]] Result<Message> add_neighbour(int index, const Ip& address, const Mac& mac);

}  // namespace panal::netconfine
