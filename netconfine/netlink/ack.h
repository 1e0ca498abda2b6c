#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::netconfine {

/// The kernel's answer to one netlink request (NLMSG_ERROR; RFC 3549 2.3.2.2).
struct Ack {
  std::uint32_t sequence = 0;
  int code = 0;      ///< errno; 0 = done
  std::string text;  ///< the kernel's own words (NLMSGERR_ATTR_MSG, since Linux 4.12), if any
};

/// All acks of one received datagram; other message types are skipped.
/// Errors: EPROTO for a datagram that is cut short or lies about a length.
[[nodiscard]] Result<std::vector<Ack>> parse_acks(std::span<const std::byte> datagram);

}  // namespace panal::netconfine
