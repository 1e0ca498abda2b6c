#pragma once

#include <cerrno>
#include <vector>

#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// A request, and the refusals that are as good as done.
struct Step {
  Message message;
  std::vector<int> fine;  ///< errno values
};

/// Sends steps in datagrams of some hundred, in their order. The first refusal that is not fine
/// ends it, after the datagram it was in.
[[nodiscard]] Result<void> carry_out(NetlinkSocket& socket, std::vector<Step> steps);

}  // namespace panal::netconfine
