#include "tests/system/netconfine/frames.h"

#include <arpa/inet.h>

#include <stdexcept>

namespace panal::netconfine::testing {
namespace {

Bytes be16(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}
template <typename Address>
Bytes raw(const Address& address) {
  return Bytes(address.begin(), address.end());
}

// RFC 1071.
std::uint16_t checksum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i]) << 8;
    if (i + 1 < bytes.size()) sum += bytes[i + 1];
  }
  while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void put16(Bytes& bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

// The checksum of a payload of IPv6 with its pseudo header (RFC 8200 8.1).
std::uint16_t checksum6(const Ipv6& from, const Ipv6& to, std::uint8_t next, const Bytes& payload) {
  return checksum(raw(from) + raw(to) + be16(0) + be16(static_cast<std::uint32_t>(payload.size())) +
                  Bytes{0, 0, 0, next} + payload);
}

Bytes udp(std::uint16_t port) {
  const Bytes text = {'p', 'a', 'n', 'a', 'l', '-', 't', 'e', 's', 't'};
  return be16(40000) + be16(port) + be16(static_cast<std::uint32_t>(8 + text.size())) + be16(0) +
         text;
}

}  // namespace

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes bytes_of(const Mac& mac) { return raw(mac); }

Ipv4 ip4(const std::string& text) {
  Ipv4 address{};
  if (inet_pton(AF_INET, text.c_str(), address.data()) != 1) throw std::invalid_argument(text);
  return address;
}

Ipv6 ip6(const std::string& text) {
  Ipv6 address{};
  if (inet_pton(AF_INET6, text.c_str(), address.data()) != 1) throw std::invalid_argument(text);
  return address;
}

Bytes ethernet(const Mac& to, const Mac& from, std::uint16_t type, const Bytes& payload) {
  return raw(to) + raw(from) + be16(type) + payload;
}

Bytes ipv4(const Ipv4& from, const Ipv4& to, const Bytes& payload, const Ip4Options& options) {
  const std::size_t header_bytes = 20 + options.options.size();
  Bytes header = Bytes{static_cast<std::uint8_t>(0x40 | header_bytes / 4), 0} +
                 be16(static_cast<std::uint32_t>(header_bytes + payload.size())) + be16(0x1234) +
                 be16(options.fragment) + Bytes{options.ttl, options.protocol, 0, 0} + raw(from) +
                 raw(to) + options.options;
  put16(header, 10, checksum(header));
  return std::move(header) + payload;
}

Bytes ipv6(const Ipv6& from, const Ipv6& to, std::uint8_t next, const Bytes& payload,
           std::uint8_t hops) {
  return Bytes{0x60, 0, 0, 0} + be16(static_cast<std::uint32_t>(payload.size())) +
         Bytes{next, hops} + raw(from) + raw(to) + payload;
}

Bytes udp4(const Ipv4& from, const Ipv4& to, std::uint16_t port, const Ip4Options& options) {
  return ipv4(from, to, udp(port), options);
}

Bytes udp6(const Ipv6& from, const Ipv6& to, std::uint16_t port) {
  Bytes datagram = udp(port);
  put16(datagram, 6, checksum6(from, to, 17, datagram));
  return ipv6(from, to, 17, datagram);
}

Bytes icmp6(const Ipv6& from, const Ipv6& to, std::uint8_t type, const Bytes& body) {
  Bytes message = Bytes{type, 0, 0, 0} + body;
  put16(message, 2, checksum6(from, to, 58, message));
  return ipv6(from, to, 58, message, 255);
}

Bytes ping4(const Ipv4& from, const Ipv4& to) {
  Bytes message = {8, 0, 0, 0, 0, 1, 0, 1, 'p', 'a', 'n', 'a'};
  put16(message, 2, checksum(message));
  return ipv4(from, to, message, {.protocol = 1});
}

Bytes arp(std::uint16_t operation, const Mac& sender_mac, const Ipv4& sender, const Mac& target_mac,
          const Ipv4& target) {
  return be16(1) + be16(0x0800) + Bytes{6, 4} + be16(operation) + raw(sender_mac) + raw(sender) +
         raw(target_mac) + raw(target);
}

}  // namespace panal::netconfine::testing
