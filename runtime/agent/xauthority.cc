#include "runtime/agent/xauthority.h"

namespace panal::agent {
namespace {

constexpr unsigned kFamilyLocal = 256;
constexpr unsigned kFamilyWild = 65535;

void append_number(std::string& out, std::size_t value) {
  out.push_back(static_cast<char>((value >> 8U) & 0xffU));
  out.push_back(static_cast<char>(value & 0xffU));
}

void append_counted(std::string& out, std::string_view text) {
  append_number(out, text.size());
  out.append(text);
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<std::string> cookie_bytes(std::string_view cookie_hex) {
  if (cookie_hex.size() != 32) return fail(EINVAL, "X cookie must have 32 hex digits");
  std::string out;
  for (std::size_t i = 0; i < cookie_hex.size(); i += 2) {
    const int high = digit(cookie_hex[i]);
    const int low = digit(cookie_hex[i + 1]);
    if (high < 0 || low < 0) return fail(EINVAL, "X cookie must have 32 hex digits");
    out.push_back(static_cast<char>(high * 16 + low));
  }
  return out;
}

Result<std::string> xauthority_bytes(std::string_view hostname, int display,
                                     std::string_view cookie_hex) {
  PANAL_ASSIGN(const std::string cookie, cookie_bytes(cookie_hex));
  const std::string number = std::to_string(display);
  std::string out;
  for (const unsigned family : {kFamilyLocal, kFamilyWild}) {
    append_number(out, family);
    append_counted(out, family == kFamilyLocal ? hostname.substr(0, 255) : std::string_view{});
    append_counted(out, number);
    append_counted(out, "MIT-MAGIC-COOKIE-1");
    append_counted(out, cookie);
  }
  return out;
}

}  // namespace panal::agent
