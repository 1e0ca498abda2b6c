#include "netconfine/bridge/group_end.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "netconfine/bridge/bridge_messages.h"
#include "netconfine/link/find_link.h"
#include "netconfine/link/route_messages.h"
#include "netconfine/link/routed_veth.h"

namespace panal::netconfine {
namespace {

constexpr Prefix kLimitedBroadcast{false, {255, 255, 255, 255}, 32};
constexpr Prefix kMulticast4{false, {224}, 4};

}  // namespace

Ipv4 broadcast_of(const Prefix& prefix) {
  Ipv4 address{};
  for (unsigned bit = 0; bit < 32; ++bit) {
    const unsigned byte = bit / 8, mask = 0x80U >> (bit % 8);
    const bool set = bit >= prefix.length || (prefix.bytes[byte] & mask) != 0;
    if (set) address[byte] = static_cast<std::uint8_t>(address[byte] | mask);
  }
  return address;
}

Result<void> configure_group_end(const Addresses& addresses, const GroupPrefixes& prefixes) {
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
  PANAL_ASSIGN(const auto link, find_link(socket, kGroupInsideName));
  PANAL_ASSIGN(auto address6, add_address(link.index, Ip(addresses.ipv6)));
  PANAL_TRY(take_from_everywhere(kGroupInsideName));
  std::vector<Message> messages;
  for (const int family : {AF_INET, AF_INET6})
    messages.push_back(ask_for_nobody(link.index, family));
  messages.push_back(link_up(link.index));
  messages.push_back(add_broadcast_address(link.index, addresses.ipv4, broadcast_of(prefixes.v4)));
  messages.push_back(std::move(address6));
  for (const Prefix& to : {kLimitedBroadcast, kMulticast4})
    messages.push_back(add_link_route(link.index, to));
  messages.push_back(prefer_for_multicast6(link.index));
  auto done = socket.transact(std::move(messages));
  if (!done) return prefixed(kGroupInsideName, std::move(done.error()));
  return {};
}

}  // namespace panal::netconfine
