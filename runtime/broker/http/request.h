#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace panal::http {

inline constexpr std::size_t kLineBytes = 8192;
inline constexpr std::size_t kHeadBytes = 32768;
inline constexpr std::size_t kHeaders = 100;

/// One request without a body: the broker's requests have none.
struct Request {
  std::string method;  ///< "GET" or "HEAD" reach a handler; others are answered 405
  std::string path;    ///< before the '?', as sent
  std::string query;   ///< after the '?', still encoded
  int minor = 1;       ///< HTTP/1.<minor>, 0 or 1
  std::vector<std::pair<std::string, std::string>> headers;

  /// The first header of that name, in any case, or nullopt.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
  /// Whether the comma-separated header `name` has `token`, in any case.
  [[nodiscard]] bool header_has(std::string_view name, std::string_view token) const;
  /// What HTTP/1.0 and 1.1 say about keeping the connection.
  [[nodiscard]] bool keep_alive() const;
};

using Query = std::vector<std::pair<std::string, std::string>>;

/// Decodes "a=b&c=d" in the order sent; an empty query has no pairs and a key may have no '='.
/// Errors: EPROTO for a bad %-escape or more than 64 pairs.
[[nodiscard]] Result<Query> parse_query(std::string_view query);

/// Reads one request head byte by byte as it arrives. Lines end in CRLF or bare LF (QVD's Qt and C
/// clients send the latter). RFC 9112, and stricter: no line folding, no body.
class RequestParser {
 public:
  enum class State { kMore, kDone, kBad };

  /// Takes bytes up to the end of the head and says how many it took; the rest belongs to whatever
  /// comes next. Never keeps more than kHeadBytes.
  std::size_t feed(std::string_view bytes);

  [[nodiscard]] State state() const { return state_; }
  /// Something of a request is there (an idle connection has nothing).
  [[nodiscard]] bool started() const { return head_bytes_ > 0; }
  /// The request, once kDone.
  [[nodiscard]] const Request& request() const { return request_; }
  /// Once kBad: status to answer and a sentence.
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  void end_of_line();
  void request_line(std::string_view line);
  void header_line(std::string_view line);
  void end_of_head();
  void bad(int status, std::string reason);

  State state_ = State::kMore;
  Request request_;
  std::string line_;
  std::size_t head_bytes_ = 0;
  bool have_request_line_ = false;
  int status_ = 400;
  std::string reason_;
};

}  // namespace panal::http
