#include "runtime/broker/credentials.h"

#include <algorithm>

#include "runtime/broker/http/encoding.h"

namespace panal::broker {
namespace {

constexpr std::size_t kNameBytes = 128;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytes &&
         std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

Result<Credentials> parse_authorization(std::string_view value) {
  const auto space = value.find(' ');
  if (!http::equal_ignoring_case(value.substr(0, space), "Basic")) {
    return fail(EINVAL, "log in with login and password (Basic); tokens are not accepted yet");
  }
  if (space == std::string_view::npos) return fail(EPROTO, "the login is empty");
  std::string_view encoded = value.substr(space + 1);
  while (encoded.starts_with(' ')) encoded.remove_prefix(1);
  const auto decoded = http::base64_decode(encoded);
  if (!decoded) return fail(EPROTO, "the login is not base64");
  const auto colon = decoded->find(':');
  if (colon == std::string::npos) return fail(EPROTO, "the login has no password");
  Credentials out;
  out.login = decoded->substr(0, colon);
  out.password = decoded->substr(colon + 1);
  const auto at = out.login.rfind('@');
  if (at != std::string::npos) {
    out.tenant = out.login.substr(at + 1);
    out.login.resize(at);
  }
  if (!is_name(out.login) || !is_name(out.tenant)) {
    return fail(EINVAL, "the login is not LOGIN or LOGIN@TENANT");
  }
  return out;
}

}  // namespace panal::broker
