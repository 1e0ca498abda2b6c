#include "netconfine/firewall/nft/events.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace panal::netconfine {

Result<UniqueFd> open_nft_events() {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1U << (NFNLGRP_NFTABLES - 1);
  if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return fail_errno("nftables: listen for changes");
  }
  return fd;
}

void forget_nft_events(int events) {
  std::array<char, 8192> bytes{};
  // An overrun (ENOBUFS) is told once, and says no more than that there were changes.
  while (recv(events, bytes.data(), bytes.size(), 0) > 0 || errno == ENOBUFS) {
  }
}

}  // namespace panal::netconfine
