#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "netconfine/address/address_pool.h"

namespace panal::netconfine::testing {

using Bytes = std::vector<std::uint8_t>;

/// Ports and marks of all test datagrams.
inline constexpr std::uint16_t kPort = 7777;

Bytes operator+(Bytes a, const Bytes& b);
Bytes bytes_of(const Mac& mac);
Ipv4 ip4(const std::string& text);
Ipv6 ip6(const std::string& text);

/// Ethernet II.
Bytes ethernet(const Mac& to, const Mac& from, std::uint16_t type, const Bytes& payload);

struct Ip4Options {
  std::uint8_t protocol = 17;
  std::uint8_t ttl = 64;
  std::uint16_t fragment = 0;  ///< flags and offset
  Bytes options = {};          ///< a multiple of 4 bytes
};
/// With a correct header checksum.
Bytes ipv4(const Ipv4& from, const Ipv4& to, const Bytes& payload, const Ip4Options& options = {});
Bytes ipv6(const Ipv6& from, const Ipv6& to, std::uint8_t next, const Bytes& payload,
           std::uint8_t hops = 64);

/// UDP over IPv4 (checksum 0: none) and over IPv6 (correct checksum).
Bytes udp4(const Ipv4& from, const Ipv4& to, std::uint16_t port = kPort,
           const Ip4Options& options = {});
Bytes udp6(const Ipv6& from, const Ipv6& to, std::uint16_t port = kPort);
/// ICMPv6 with a correct checksum; `body` follows type, code and checksum.
Bytes icmp6(const Ipv6& from, const Ipv6& to, std::uint8_t type, const Bytes& body);
/// ICMP echo request.
Bytes ping4(const Ipv4& from, const Ipv4& to);

/// `operation` 1 = request, 2 = reply.
Bytes arp(std::uint16_t operation, const Mac& sender_mac, const Ipv4& sender, const Mac& target_mac,
          const Ipv4& target);

}  // namespace panal::netconfine::testing
