#include "netconfine/policy/prefix.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace panal::netconfine {
namespace {

std::uint8_t whole(bool v6) { return v6 ? 128 : 32; }

bool has_bits_past(const Prefix& prefix) {
  for (unsigned bit = prefix.length; bit < whole(prefix.v6); ++bit)
    if ((prefix.bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return true;
  return false;
}

// For the lists below only, which a test reads.
std::vector<Prefix> known(std::initializer_list<std::string_view> texts) {
  std::vector<Prefix> prefixes;
  for (const std::string_view text : texts)
    if (const auto prefix = parse_prefix(text)) prefixes.push_back(*prefix);
  return prefixes;
}

}  // namespace

Result<Prefix> parse_prefix(std::string_view text) {
  const auto slash = text.find('/');
  const std::string address(text.substr(0, slash));
  Prefix prefix;
  // inet_pton() stops at a zero byte.
  if (address.find('\0') != std::string::npos) return fail(EINVAL, "is no address");
  if (inet_pton(AF_INET6, address.c_str(), prefix.bytes.data()) == 1)
    prefix.v6 = true;
  else if (inet_pton(AF_INET, address.c_str(), prefix.bytes.data()) != 1)
    return fail(EINVAL, "is no address");
  prefix.length = whole(prefix.v6);
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    unsigned length = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, code] = std::from_chars(digits.data(), end, length);
    if (code != std::errc{} || stop != end || length > whole(prefix.v6))
      return fail(EINVAL, fmt::format("needs a length of 0 to {} behind /", whole(prefix.v6)));
    prefix.length = static_cast<std::uint8_t>(length);
  }
  if (has_bits_past(prefix))
    return fail(EINVAL, fmt::format("has address bits past its length of {}", prefix.length));
  return prefix;
}

std::string to_string(const Prefix& prefix) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(prefix.v6 ? AF_INET6 : AF_INET, prefix.bytes.data(), text, sizeof(text));
  return prefix.length == whole(prefix.v6) ? text : fmt::format("{}/{}", text, prefix.length);
}

Prefix prefix_of(const Ipv4& address) {
  Prefix prefix;
  std::copy(address.begin(), address.end(), prefix.bytes.begin());
  prefix.length = 32;
  return prefix;
}

Prefix prefix_of(const Ipv6& address) { return {true, address, 128}; }

bool contains(const Prefix& outer, const Prefix& inner) {
  if (outer.v6 != inner.v6 || outer.length > inner.length) return false;
  const std::size_t full = outer.length / 8;
  if (!std::equal(outer.bytes.begin(), outer.bytes.begin() + static_cast<std::ptrdiff_t>(full),
                  inner.bytes.begin()))
    return false;
  const unsigned rest = outer.length % 8;
  if (rest == 0) return true;
  return (outer.bytes[full] ^ inner.bytes[full]) >> (8 - rest) == 0;
}

bool overlap(const Prefix& a, const Prefix& b) { return contains(a, b) || contains(b, a); }

const Prefix* covering(std::span<const Prefix> all, const Prefix& one) {
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Prefix& outer) { return contains(outer, one); });
  return found == all.end() ? nullptr : &*found;
}

std::vector<Prefix> merged(std::vector<Prefix> prefixes) {
  // A containing prefix sorts before what it contains, and nothing else comes between them.
  std::sort(prefixes.begin(), prefixes.end());
  std::vector<Prefix> out;
  for (const Prefix& prefix : prefixes)
    if (out.empty() || !contains(out.back(), prefix)) out.push_back(prefix);
  return out;
}

std::vector<Prefix> all_addresses() { return known({"0.0.0.0/0", "::/0"}); }

std::vector<Prefix> never_reached() {
  return known({"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3",  //
                "::/96", "::ffff:0:0/96", "fe80::/10", "ff00::/8"});
}

std::vector<Prefix> private_addresses() {
  return known(
      {"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"});
}

std::vector<Prefix> not_internet() {
  auto prefixes = private_addresses();
  const auto more = known(
      {"192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
       "2001::/32", "2001:db8::/32", "2002::/16", "64:ff9b:1::/48",
       // 64:ff9b::/96 is IPv4 behind a translator: what IPv4 leaves out is left out there too.
       "64:ff9b::/104", "64:ff9b::a00:0/104", "64:ff9b::6440:0/106", "64:ff9b::7f00:0/104",
       "64:ff9b::a9fe:0/112", "64:ff9b::ac10:0/108", "64:ff9b::c000:0/120", "64:ff9b::c0a8:0/112",
       "64:ff9b::c612:0/111", "64:ff9b::e000:0/99"});
  prefixes.insert(prefixes.end(), more.begin(), more.end());
  return prefixes;
}

}  // namespace panal::netconfine
