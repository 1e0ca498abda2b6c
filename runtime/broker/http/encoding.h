#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace panal::http {

/// Percent-decoding of a query part; '+' is a space. nullopt for a '%' without two hex digits and
/// for a decoded NUL.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);

/// Base64 with padding, as RFC 4648 section 4; white space is not accepted. nullopt when malformed.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

/// `bytes` as lower-case hex.
[[nodiscard]] std::string hex(std::string_view bytes);

/// Equality of header names: ASCII case does not matter.
[[nodiscard]] bool equal_ignoring_case(std::string_view left, std::string_view right);

}  // namespace panal::http
