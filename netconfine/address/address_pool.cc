#include "netconfine/address/address_pool.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace panal::netconfine {
namespace {

struct Cidr {
  std::string address;
  unsigned length = 0;
};

Result<Cidr> split(const std::string& name, const std::string& text, unsigned least,
                   unsigned most) {
  const auto bad = [&](const std::string& why) {
    return fail(EINVAL, fmt::format("{} \"{}\": {}", name, text, why));
  };
  const auto slash = text.find('/');
  if (slash == std::string::npos) return bad("want ADDRESS/LENGTH");
  Cidr cidr{text.substr(0, slash), 0};
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data() + slash + 1, end, cidr.length);
  if (code != std::errc{} || stop != end || cidr.length < least || cidr.length > most) {
    return bad(fmt::format("the prefix length must be {}..{}", least, most));
  }
  return cidr;
}

// Bytes of a MAC whose last four are the id's low 32 bits. Bit 1 of the first byte says "locally
// administered" (IEEE 802), so that no real card can have it.
Mac derived_mac(std::uint8_t first, DesktopId id) {
  const auto n = static_cast<std::uint32_t>(id);
  return {first,
          0x70,
          static_cast<std::uint8_t>(n >> 24),
          static_cast<std::uint8_t>(n >> 16),
          static_cast<std::uint8_t>(n >> 8),
          static_cast<std::uint8_t>(n)};
}

constexpr std::uint8_t kDesktopMacByte = 0x02;
constexpr std::uint8_t kGatewayMacByte = 0x06;
constexpr std::string_view kLinkPrefix = "pnl";

}  // namespace

Result<AddressPool> AddressPool::parse(const std::string& subnet4, const std::string& subnet6) {
  AddressPool pool;
  PANAL_ASSIGN(const auto cidr4, split("subnet4", subnet4, 8, 30));
  in_addr address4{};
  if (inet_pton(AF_INET, cidr4.address.c_str(), &address4) != 1) {
    return fail(EINVAL, fmt::format("subnet4 \"{}\": not an IPv4 address", subnet4));
  }
  pool.network4_ = ntohl(address4.s_addr);
  const std::uint32_t host_bits = ~std::uint32_t{0} >> cidr4.length;
  if ((pool.network4_ & host_bits) != 0) {
    return fail(EINVAL, fmt::format("subnet4 \"{}\": bits are set past the prefix", subnet4));
  }
  pool.last4_ = host_bits - 1;

  PANAL_ASSIGN(const auto cidr6, split("subnet6", subnet6, 32, 96));
  if (inet_pton(AF_INET6, cidr6.address.c_str(), pool.network6_.data()) != 1) {
    return fail(EINVAL, fmt::format("subnet6 \"{}\": not an IPv6 address", subnet6));
  }
  for (unsigned bit = cidr6.length; bit < 128; ++bit) {
    if ((pool.network6_[bit / 8] >> (7 - bit % 8) & 1) != 0) {
      return fail(EINVAL, fmt::format("subnet6 \"{}\": bits are set past the prefix", subnet6));
    }
  }
  return pool;
}

Result<Addresses> AddressPool::of(DesktopId id) const {
  if (id < 1) return fail(EINVAL, fmt::format("desktop {}: ids begin at 1", id));
  if (id > last4_) {
    return fail(ENOSPC, fmt::format("desktop {}: subnet4 has only {} addresses; give it a shorter "
                                    "prefix in panal.toml",
                                    id, last4_));
  }
  Addresses result;
  result.link = link_name(id);
  const std::uint32_t number4 = htonl(network4_ + static_cast<std::uint32_t>(id));
  std::memcpy(result.ipv4.data(), &number4, sizeof(number4));
  result.ipv6 = network6_;
  const std::uint32_t number6 = htonl(static_cast<std::uint32_t>(id));
  std::memcpy(result.ipv6.data() + 12, &number6, sizeof(number6));
  result.mac = derived_mac(kDesktopMacByte, id);
  result.gateway_mac = derived_mac(kGatewayMacByte, id);
  return result;
}

DesktopId AddressPool::id_of(const std::string& address) const {
  in_addr address4{};
  Ipv6 address6{};
  std::uint32_t number = 0;
  if (inet_pton(AF_INET, address.c_str(), &address4) == 1) {
    number = ntohl(address4.s_addr) - network4_;
  } else if (inet_pton(AF_INET6, address.c_str(), address6.data()) == 1) {
    if (!std::equal(network6_.begin(), network6_.begin() + 12, address6.begin())) return 0;
    std::memcpy(&number, address6.data() + 12, sizeof(number));
    number = ntohl(number);
  }
  return number >= 1 && number <= last4_ ? static_cast<DesktopId>(number) : 0;
}

std::string link_name(DesktopId id) { return fmt::format("{}{}", kLinkPrefix, id); }

DesktopId id_of_link(const std::string& name) {
  if (!name.starts_with(kLinkPrefix)) return 0;
  DesktopId id = 0;
  const char* end = name.data() + name.size();
  const auto [stop, code] = std::from_chars(name.data() + kLinkPrefix.size(), end, id);
  if (code != std::errc{} || stop != end || id < 1 || link_name(id) != name) return 0;
  return id;
}

std::string to_string(const Mac& mac) { return fmt::format("{:02x}", fmt::join(mac, ":")); }

std::string to_string(const Ipv4& address) {
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, address.data(), text, sizeof(text));
  return text;
}

std::string to_string(const Ipv6& address) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, address.data(), text, sizeof(text));
  return text;
}

}  // namespace panal::netconfine
