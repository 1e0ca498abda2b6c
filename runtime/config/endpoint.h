#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"

namespace panal::config {

/// A numeric address and a port to listen at.
struct Endpoint {
  std::string address;  ///< IPv4, or IPv6 without brackets
  std::uint16_t port = 0;
  bool loopback = false;  ///< 127.0.0.0/8 or ::1: only this machine reaches it

  [[nodiscard]] bool operator==(const Endpoint&) const = default;
};

/// "127.0.0.1:9464" or "[::1]:9464"; port 1 to 65535. Errors: EINVAL, in words that follow the
/// text.
[[nodiscard]] Result<Endpoint> parse_endpoint(const std::string& text);

}  // namespace panal::config
