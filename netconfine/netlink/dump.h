#pragma once

#include <functional>

#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// Asks a question whose answer is a list. `begin` is called before the first message, and again
/// when a change disturbed the kernel's listing and it is asked anew (at most ten times).
/// Errors: those of the kernel; EINTR when it never came to an end.
[[nodiscard]] Result<void> dump(NetlinkSocket& socket, const Message& question,
                                const std::function<void()>& begin,
                                const std::function<void(const nlmsghdr*)>& each);

/// A message's payload, by the length in its header (which NetlinkSocket has checked).
[[nodiscard]] std::span<const std::byte> payload_of(const nlmsghdr* message);

}  // namespace panal::netconfine
