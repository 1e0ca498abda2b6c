#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace panal::agent {

/// The bytes of an .Xauthority file with one MIT-MAGIC-COOKIE-1 for `display`, under the host's
/// name (FamilyLocal) and for any host (FamilyWild), so that a changed host name locks nobody
/// out. Format: libXau, Xauth.h: big-endian 16-bit family and counted strings.
/// Errors: EINVAL when `cookie_hex` is not 32 hex digits.
[[nodiscard]] Result<std::string> xauthority_bytes(std::string_view hostname, int display,
                                                   std::string_view cookie_hex);

/// 16 bytes of 32 hex digits. Errors: EINVAL.
[[nodiscard]] Result<std::string> cookie_bytes(std::string_view cookie_hex);

}  // namespace panal::agent
