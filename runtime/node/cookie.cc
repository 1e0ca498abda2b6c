#include "runtime/node/cookie.h"

#include <sys/random.h>

#include <array>

namespace panal::node {

Result<std::string> make_cookie() {
  std::array<unsigned char, 16> bytes{};
  // Up to 256 bytes come whole (getrandom(2)).
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return fail_errno("getrandom");
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

}  // namespace panal::node
