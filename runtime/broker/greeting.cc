#include "runtime/broker/greeting.h"

#include <algorithm>

#include "runtime/broker/auth/password.h"

namespace panal::broker {
namespace {

constexpr std::string_view kMagic = "NXPROXY-";
constexpr std::string_view kCookieKey = "cookie";

bool is_cookie(std::string_view text) {
  return text.size() == kCookieDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

bool is_version(std::string_view text) {
  return !text.empty() && text.size() <= 40 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || c == '.' || c == '-';
  });
}

/// Fills in the cookie; false when the options are not key=value,key=value.
bool read_options(std::string_view options, Greeting& greeting) {
  while (!options.empty()) {
    const auto comma = options.find(',');
    const std::string_view option = options.substr(0, comma);
    if (comma != std::string_view::npos && comma + 1 == options.size()) return false;
    options.remove_prefix(comma == std::string_view::npos ? options.size() : comma + 1);
    const auto equals = option.find('=');
    if (equals == std::string_view::npos || equals == 0) return false;
    if (option.substr(0, equals) != kCookieKey) continue;
    if (greeting.cookie || !is_cookie(option.substr(equals + 1))) return false;
    greeting.cookie = std::string(option.substr(equals + 1));
  }
  return true;
}

}  // namespace

GreetingState parse_greeting(std::string_view bytes, Greeting& greeting) {
  const std::size_t magic = std::min(bytes.size(), kMagic.size());
  if (bytes.substr(0, magic) != kMagic.substr(0, magic)) return GreetingState::kBad;
  const std::string_view seen = bytes.substr(0, kGreetingBytes);
  const auto version_end = seen.find(' ');
  const auto options_end =
      version_end == std::string_view::npos ? version_end : seen.find(' ', version_end + 1);
  const std::string_view text = seen.substr(0, options_end);
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && static_cast<unsigned char>(c) < 0x7f;
  });
  if (!plain) return GreetingState::kBad;
  if (options_end == std::string_view::npos) {
    return bytes.size() >= kGreetingBytes ? GreetingState::kBad : GreetingState::kMore;
  }
  if (!is_version(seen.substr(kMagic.size(), version_end - kMagic.size()))) {
    return GreetingState::kBad;
  }
  greeting = Greeting{options_end + 1, version_end + 1, std::nullopt};
  const bool good =
      read_options(seen.substr(version_end + 1, options_end - version_end - 1), greeting);
  return good ? GreetingState::kDone : GreetingState::kBad;
}

std::optional<std::string> admit_greeting(std::string_view bytes, const Greeting& greeting,
                                          std::string_view cookie) {
  std::string out(bytes.substr(0, greeting.bytes));
  if (greeting.cookie) {
    if (!auth::equal_constant_time(*greeting.cookie, cookie)) return std::nullopt;
    return out;
  }
  const bool no_options = greeting.options + 1 == greeting.bytes;
  std::string option = "cookie=" + std::string(cookie);
  if (!no_options) option += ',';
  return out.insert(greeting.options, option);
}

}  // namespace panal::broker
