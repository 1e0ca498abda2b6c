#include "runtime/config/endpoint.h"

#include <arpa/inet.h>

#include <charconv>

namespace panal::config {

Result<Endpoint> parse_endpoint(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos)
    return fail(EINVAL, "has no port; write an address and a port, e.g. 127.0.0.1:9464");
  Endpoint out;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, out.port);
  if (error != std::errc{} || rest != end || out.port == 0)
    return fail(EINVAL, "needs a port of 1 to 65535");
  out.address = text.substr(0, colon);
  in_addr v4{};
  if (::inet_pton(AF_INET, out.address.c_str(), &v4) == 1) {
    out.loopback = ntohl(v4.s_addr) >> 24U == 127;
    return out;
  }
  const bool brackets =
      out.address.size() > 2 && out.address.front() == '[' && out.address.back() == ']';
  if (brackets) out.address = out.address.substr(1, out.address.size() - 2);
  in6_addr v6{};
  if (!brackets || ::inet_pton(AF_INET6, out.address.c_str(), &v6) != 1)
    return fail(EINVAL, "must be a numeric address, IPv6 in brackets, e.g. [::1]:9464");
  out.loopback = IN6_IS_ADDR_LOOPBACK(&v6);
  return out;
}

}  // namespace panal::config
