#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace panal::broker {

/// What a Basic login names.
struct Credentials {
  std::string login;
  std::string tenant = "default";
  std::string password;

  [[nodiscard]] std::string name() const { return login + "@" + tenant; }
};

/// The value of an Authorization header. Errors: EPROTO malformed base64 or no colon; EINVAL
/// another scheme (Bearer), a login that is empty, too long or holds control characters.
[[nodiscard]] Result<Credentials> parse_authorization(std::string_view value);

}  // namespace panal::broker
