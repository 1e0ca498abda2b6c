#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace panal::client {

/// The head of an HTTP/1.1 response.
struct ResponseHead {
  int status = 0;
  std::string reason;
  std::vector<std::pair<std::string, std::string>> headers;  ///< as sent, values trimmed

  /// The first value under `name` (case-insensitive), or nullopt.
  [[nodiscard]] std::optional<std::string> header(std::string_view name) const;
};

/// Longest head a server may send.
inline constexpr std::size_t kHeadBytes = std::size_t{32} << 10U;
/// Longest body that is read (lists, error texts).
inline constexpr std::size_t kBodyBytes = std::size_t{4} << 20U;

/// Takes one head off the front of `buffer` once it is whole; nullopt while it is not.
/// Errors: EPROTO with what is wrong, EMSGSIZE past kHeadBytes.
[[nodiscard]] Result<std::optional<ResponseHead>> take_head(std::string& buffer);

/// The body's length as the head says it. Errors: EPROTO without or with a bad Content-Length,
/// EMSGSIZE past kBodyBytes.
[[nodiscard]] Result<std::size_t> body_length(const ResponseHead& head);

/// RFC 3986 percent-encoding of everything but unreserved characters.
[[nodiscard]] std::string url_encode(std::string_view text);
/// RFC 4648 base64, padded.
[[nodiscard]] std::string base64(std::string_view bytes);

/// A GET request: CRLF lines, Host, Basic authorization, then `extra` headers.
[[nodiscard]] std::string render_get(
    const std::string& target, const std::string& host, const std::string& login,
    const std::string& password,
    const std::vector<std::pair<std::string, std::string>>& extra = {});

}  // namespace panal::client
