#pragma once

#include <cstdint>
#include <string>

#include "engine/base/unique_fd.h"

namespace panal::broker {

/// A listening TCP socket, non-blocking, on a numeric IPv4 or IPv6 address ("::" takes both).
/// Port 0: any free one. Errors: EINVAL for the address, EADDRINUSE, EACCES.
[[nodiscard]] Result<UniqueFd> listen_on(const std::string& address, std::uint16_t port);

/// "address:port" as bound.
[[nodiscard]] std::string bound_address(int fd);

}  // namespace panal::broker
