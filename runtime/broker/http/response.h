#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace panal::http {

/// A final answer. QVD's clients match header names by case and need Content-Length and a body
/// that is not empty (docs/broker.md), so to_bytes() is the only writer of answers to
/// them.
struct Response {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain";
  std::vector<std::pair<std::string, std::string>> headers;
  bool close = false;  ///< the connection ends after it
};

/// "OK", "Unauthorized"...: a word for every status used here, "Error" for others.
[[nodiscard]] std::string_view reason_phrase(int status);

/// A sentence as a text/plain answer; CRLF is put behind it.
[[nodiscard]] Response text(int status, std::string sentence);

/// Head and body. `head_only` (HEAD): the body counts but is not sent. An empty body is replaced by
/// the reason phrase.
[[nodiscard]] std::string to_bytes(const Response& response, bool head_only = false);

/// The head of an answer whose body, that many bytes of a file, follows.
[[nodiscard]] std::string file_head(std::uint64_t bytes, bool close);

/// An interim `102 Processing` with its X-QVD-VM-Info line; control characters in `info` are
/// escaped.
[[nodiscard]] std::string progress_bytes(std::string_view info);

/// `101 Switching Protocols` with these headers.
[[nodiscard]] std::string switching_bytes(
    const std::vector<std::pair<std::string, std::string>>& headers);

}  // namespace panal::http
