#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "netconfine/address/address_pool.h"

namespace panal::bench {

using netconfine::Ipv4;
using netconfine::Ipv6;
using netconfine::Mac;

using Octets = std::vector<std::uint8_t>;

Octets operator+(Octets a, const Octets& b);
[[nodiscard]] Octets be16(std::uint32_t value);
[[nodiscard]] Octets be32(std::uint32_t value);
[[nodiscard]] Octets raw(const Mac& mac);
[[nodiscard]] Octets raw(const Ipv4& address);
[[nodiscard]] Octets raw(const Ipv6& address);
/// Of a literal; anything else ends the program.
[[nodiscard]] Ipv4 ip4(const std::string& text);
[[nodiscard]] Ipv6 ip6(const std::string& text);

/// From the IP header on.
struct Packet {
  Octets bytes;
  bool v6 = false;
};

/// What an honest header does not need to say otherwise.
struct Header {
  std::uint8_t ttl = 64;       ///< hop limit
  std::uint16_t fragment = 0;  ///< IPv4's flags and offset
  Octets options = {};         ///< IPv4's, a multiple of 4 bytes
  std::uint8_t traffic = 0;    ///< type of service, traffic class
  std::uint16_t id = 0x1234;
};

/// With correct lengths and, IPv4, a correct checksum.
[[nodiscard]] Packet ip(const Ipv4& from, const Ipv4& to, std::uint8_t protocol,
                        const Octets& payload, const Header& header = {});
[[nodiscard]] Packet ip(const Ipv6& from, const Ipv6& to, std::uint8_t protocol,
                        const Octets& payload, const Header& header = {});

struct Ports {
  std::uint16_t from = 40000;
  std::uint16_t to = 7777;
};

/// With correct checksums (RFC 1071, RFC 8200 8.1), which are the same for both families.
[[nodiscard]] Octets udp_segment(const Octets& from, const Octets& to, const Ports& ports,
                                 const Octets& data);
[[nodiscard]] Octets tcp_segment(const Octets& from, const Octets& to, const Ports& ports,
                                 std::uint8_t flags, const Octets& data);
/// `body` follows type, code and checksum.
[[nodiscard]] Octets icmp_message(const Ipv4& from, const Ipv4& to, std::uint8_t type,
                                  std::uint8_t code, const Octets& body);
[[nodiscard]] Octets icmp_message(const Ipv6& from, const Ipv6& to, std::uint8_t type,
                                  std::uint8_t code, const Octets& body);

inline constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;
inline constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kPush = 8, kAck = 16, kUrgent = 32;
inline constexpr std::uint16_t kTypeIp4 = 0x0800, kTypeArp = 0x0806, kTypeIp6 = 0x86dd,
                               kTypeVlan = 0x8100;

/// Ethernet II; a `type` up to 1,500 is IEEE 802.3's length.
[[nodiscard]] Octets ethernet(const Mac& to, const Mac& from, std::uint16_t type,
                              const Octets& payload);

/// RFC 826; `operation` 1: request, 2: reply.
[[nodiscard]] Octets arp(std::uint16_t operation, const Mac& sender_mac, const Ipv4& sender,
                         const Mac& target_mac, const Ipv4& target);

}  // namespace panal::bench
