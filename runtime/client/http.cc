#include "runtime/client/http.h"

#include <algorithm>
#include <charconv>

namespace panal::client {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// "HTTP/1.1 200 OK". Errors: EPROTO.
Result<ResponseHead> parse_status(std::string_view line) {
  ResponseHead head;
  const auto bad = [&] { return fail(EPROTO, "not an HTTP/1.1 answer"); };
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ') return bad();
  const auto [end, error] = std::from_chars(line.data() + 9, line.data() + 12, head.status);
  if (error != std::errc{} || end != line.data() + 12 || head.status < 100) return bad();
  if (line.size() > 12) {
    if (line[12] != ' ') return bad();
    head.reason = line.substr(13);
  }
  return head;
}

}  // namespace

std::optional<std::string> ResponseHead::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (same_name(key, name)) return value;
  return std::nullopt;
}

Result<std::optional<ResponseHead>> take_head(std::string& buffer) {
  const std::size_t end = buffer.find("\r\n\r\n");
  if (end == std::string::npos) {
    if (buffer.size() > kHeadBytes) return fail(EMSGSIZE, "the server's answer has no end");
    // What cannot become HTTP is refused at once, not when it has grown to the limit.
    static constexpr std::string_view kBegin = "HTTP/1.";
    if (buffer.compare(0, kBegin.size(), kBegin, 0, std::min(buffer.size(), kBegin.size())) != 0)
      return fail(EPROTO, "not an HTTP/1.1 answer");
    return std::optional<ResponseHead>{};
  }
  if (end > kHeadBytes) return fail(EMSGSIZE, "the head of the server's answer is too long");
  std::string_view text = std::string_view(buffer).substr(0, end);
  std::size_t line_end = text.find("\r\n");
  PANAL_ASSIGN(ResponseHead head, parse_status(text.substr(0, line_end)));
  while (line_end != std::string_view::npos) {
    text.remove_prefix(line_end + 2);
    line_end = text.find("\r\n");
    const std::string_view line = text.substr(0, line_end);
    const std::size_t colon = line.find(':');
    if (colon == 0 || colon == std::string_view::npos)
      return fail(EPROTO, "a header line without a name in the server's answer");
    head.headers.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
  }
  buffer.erase(0, end + 4);
  return std::optional<ResponseHead>(std::move(head));
}

Result<std::size_t> body_length(const ResponseHead& head) {
  const auto text = head.header("Content-Length");
  if (!text) return fail(EPROTO, "the server's answer has no Content-Length");
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), length);
  if (error != std::errc{} || end != text->data() + text->size())
    return fail(EPROTO, "the server's answer has a bad Content-Length");
  if (length > kBodyBytes) return fail(EMSGSIZE, "the server's answer is too long");
  return length;
}

std::string url_encode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    }
  }
  return out;
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8U | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k)
      out += k <= count ? kDigits[group >> (18U - 6U * k) & 63U] : '=';
  }
  return out;
}

std::string render_get(const std::string& target, const std::string& host, const std::string& login,
                       const std::string& password,
                       const std::vector<std::pair<std::string, std::string>>& extra) {
  std::string out = "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n";
  out += "Authorization: Basic " + base64(login + ":" + password) + "\r\n";
  out += "User-Agent: panal-client/0.1 (Linux)\r\n";
  for (const auto& [name, value] : extra) out += name + ": " + value + "\r\n";
  return out + "\r\n";
}

}  // namespace panal::client
