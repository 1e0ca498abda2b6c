#include "bench/redteam/attacks/packet.h"

#include <arpa/inet.h>

#include <cstdlib>

namespace panal::bench {
namespace {

std::uint16_t checksum(const Octets& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i]) << 8U;
    if (i + 1 < bytes.size()) sum += bytes[i + 1];
  }
  while ((sum >> 16U) != 0) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

void put16(Octets& bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8U);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

// IPv4's is shorter, and adds up to the same.
Octets pseudo_header(const Octets& from, const Octets& to, std::uint8_t protocol,
                     std::size_t length) {
  return from + to + be32(static_cast<std::uint32_t>(length)) + Octets{0, 0, 0, protocol};
}

void seal(Octets& segment, std::size_t at, const Octets& from, const Octets& to,
          std::uint8_t protocol) {
  const std::uint16_t sum = checksum(pseudo_header(from, to, protocol, segment.size()) + segment);
  put16(segment, at, sum == 0 ? 0xffff : sum);
}

template <int kFamily, typename Address>
Address parsed(const std::string& text) {
  Address address{};
  if (::inet_pton(kFamily, text.c_str(), address.data()) != 1) std::abort();
  return address;
}

}  // namespace

Octets operator+(Octets a, const Octets& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Octets be16(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value >> 8U), static_cast<std::uint8_t>(value)};
}
Octets be32(std::uint32_t value) { return be16(value >> 16U) + be16(value); }
Octets raw(const Mac& mac) { return {mac.begin(), mac.end()}; }
Octets raw(const Ipv4& address) { return {address.begin(), address.end()}; }
Octets raw(const Ipv6& address) { return {address.begin(), address.end()}; }
Ipv4 ip4(const std::string& text) { return parsed<AF_INET, Ipv4>(text); }
Ipv6 ip6(const std::string& text) { return parsed<AF_INET6, Ipv6>(text); }

Packet ip(const Ipv4& from, const Ipv4& to, std::uint8_t protocol, const Octets& payload,
          const Header& header) {
  const std::size_t length = 20 + header.options.size();
  Octets bytes = Octets{static_cast<std::uint8_t>(0x40U | length / 4), header.traffic} +
                 be16(static_cast<std::uint32_t>(length + payload.size())) + be16(header.id) +
                 be16(header.fragment) + Octets{header.ttl, protocol, 0, 0} + raw(from) + raw(to) +
                 header.options;
  put16(bytes, 10, checksum(bytes));
  return {std::move(bytes) + payload, false};
}

Packet ip(const Ipv6& from, const Ipv6& to, std::uint8_t protocol, const Octets& payload,
          const Header& header) {
  const auto first = 0x6000U | static_cast<std::uint32_t>(header.traffic) << 4U;
  return {be16(first) + be16(0) + be16(static_cast<std::uint32_t>(payload.size())) +
              Octets{protocol, header.ttl} + raw(from) + raw(to) + payload,
          true};
}

Octets udp_segment(const Octets& from, const Octets& to, const Ports& ports, const Octets& data) {
  Octets segment = be16(ports.from) + be16(ports.to) +
                   be16(static_cast<std::uint32_t>(8 + data.size())) + be16(0) + data;
  seal(segment, 6, from, to, kUdp);
  return segment;
}

Octets tcp_segment(const Octets& from, const Octets& to, const Ports& ports, std::uint8_t flags,
                   const Octets& data) {
  Octets segment = be16(ports.from) + be16(ports.to) + be32(1000) +
                   be32((flags & kAck) != 0 ? 2000 : 0) + Octets{0x50, flags} + be16(1024) +
                   be16(0) + be16(0) + data;
  seal(segment, 16, from, to, kTcp);
  return segment;
}

Octets icmp_message(const Ipv4& /*from*/, const Ipv4& /*to*/, std::uint8_t type, std::uint8_t code,
                    const Octets& body) {
  Octets message = Octets{type, code, 0, 0} + body;
  put16(message, 2, checksum(message));
  return message;
}

Octets icmp_message(const Ipv6& from, const Ipv6& to, std::uint8_t type, std::uint8_t code,
                    const Octets& body) {
  Octets message = Octets{type, code, 0, 0} + body;
  seal(message, 2, raw(from), raw(to), kIcmp6);
  return message;
}

Octets ethernet(const Mac& to, const Mac& from, std::uint16_t type, const Octets& payload) {
  return raw(to) + raw(from) + be16(type) + payload;
}

Octets arp(std::uint16_t operation, const Mac& sender_mac, const Ipv4& sender,
           const Mac& target_mac, const Ipv4& target) {
  return be16(1) + be16(kTypeIp4) + Octets{6, 4} + be16(operation) + raw(sender_mac) + raw(sender) +
         raw(target_mac) + raw(target);
}

}  // namespace panal::bench
