#include "runtime/broker/http/request.h"

#include <algorithm>

#include "runtime/broker/http/encoding.h"

namespace panal::http {
namespace {

constexpr std::size_t kQueryPairs = 64;

/// RFC 9110 5.6.2.
bool is_token(std::string_view text) {
  static constexpr std::string_view kSpecial = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kSpecial.find(c) != std::string_view::npos;
  });
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<std::string_view> Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return std::nullopt;
}

bool Request::header_has(std::string_view name, std::string_view token) const {
  for (const auto& [key, value] : headers) {
    if (!equal_ignoring_case(key, name)) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      if (equal_ignoring_case(trim(rest.substr(0, comma)), token)) return true;
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
  }
  return false;
}

bool Request::keep_alive() const {
  if (header_has("Connection", "close")) return false;
  return minor >= 1 || header_has("Connection", "keep-alive");
}

Result<Query> parse_query(std::string_view query) {
  Query out;
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (pair.empty()) continue;
    if (out.size() == kQueryPairs) return fail(EPROTO, "the query has more than 64 parameters");
    const auto equals = pair.find('=');
    auto key = percent_decode(pair.substr(0, equals));
    auto value = percent_decode(equals == std::string_view::npos ? std::string_view{}
                                                                 : pair.substr(equals + 1));
    if (!key || !value) return fail(EPROTO, "the query has a malformed %-escape");
    out.emplace_back(std::move(*key), std::move(*value));
  }
  return out;
}

std::size_t RequestParser::feed(std::string_view bytes) {
  std::size_t taken = 0;
  while (state_ == State::kMore && taken < bytes.size()) {
    const std::string_view rest = bytes.substr(taken);
    const auto newline = rest.find('\n');
    const std::size_t part = newline == std::string_view::npos ? rest.size() : newline + 1;
    head_bytes_ += part;
    if (line_.size() + part > kLineBytes + 2) {
      bad(have_request_line_ ? 431 : 414, "a line of the request is longer than 8192 bytes");
    } else if (head_bytes_ > kHeadBytes) {
      bad(431, "the request's headers are longer than 32768 bytes");
    } else {
      line_.append(rest.substr(0, part));
      if (newline != std::string_view::npos) end_of_line();
    }
    taken += part;
  }
  return taken;
}

void RequestParser::end_of_line() {
  std::string line = std::move(line_);
  line_.clear();
  line.pop_back();
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (!have_request_line_) {
    // RFC 9112 2.2: an empty line before a request is skipped.
    if (line.empty()) {
      if (head_bytes_ > 64) bad(400, "the request begins with empty lines");
      return;
    }
    request_line(line);
    have_request_line_ = true;
  } else if (line.empty()) {
    end_of_head();
  } else {
    header_line(line);
  }
}

void RequestParser::request_line(std::string_view line) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return bad(400, "the request line is not METHOD TARGET VERSION");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method) || method.size() > 32) return bad(400, "the request has no valid method");
  if (!version.starts_with("HTTP/")) return bad(400, "the request line names no HTTP version");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return bad(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  }
  const bool printable = std::all_of(target.begin(), target.end(), [](char c) {
    return c > ' ' && static_cast<unsigned char>(c) < 0x7f;
  });
  if (!target.starts_with('/') || !printable) {
    return bad(400, "the request's target is not a path such as /qvd/list_of_vm");
  }
  const auto question = target.find('?');
  request_.method = method;
  request_.path = target.substr(0, question);
  if (question != std::string_view::npos) request_.query = target.substr(question + 1);
  request_.minor = version.back() - '0';
}

void RequestParser::header_line(std::string_view line) {
  if (request_.headers.size() == kHeaders) return bad(431, "the request has more than 100 headers");
  const auto colon = line.find(':');
  // A blank before the colon or in front of the name is how folded and smuggled headers look.
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return bad(400, "a header line is not NAME: VALUE");
  }
  const std::string_view value = trim(line.substr(colon + 1));
  if (std::any_of(value.begin(), value.end(), [](char c) { return is_control(c) && c != '\t'; })) {
    return bad(400, "a header's value holds control characters");
  }
  request_.headers.emplace_back(line.substr(0, colon), value);
}

void RequestParser::end_of_head() {
  for (const auto& [name, value] : request_.headers) {
    const bool length = equal_ignoring_case(name, "Content-Length");
    if (equal_ignoring_case(name, "Transfer-Encoding") || (length && value != "0")) {
      return bad(400, "a request body is not accepted");
    }
  }
  // Two values of these would mean different things to different readers.
  for (const std::string_view once : {"Authorization", "Host", "Upgrade"}) {
    const auto same = [&](const auto& header) { return equal_ignoring_case(header.first, once); };
    if (std::count_if(request_.headers.begin(), request_.headers.end(), same) > 1) {
      return bad(400, "the header " + std::string(once) + " is there twice");
    }
  }
  state_ = State::kDone;
}

void RequestParser::bad(int status, std::string reason) {
  state_ = State::kBad;
  status_ = status;
  reason_ = std::move(reason);
}

}  // namespace panal::http
