#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// The packet that a probe sends, from its IP header on: the first of a connection (a TCP SYN, a
/// UDP datagram, an echo request, or one of protocol 253, RFC 3692, for Protocol::kAny), that
/// carries `token` where translation of addresses leaves it alone. Checksums are right.
[[nodiscard]] std::vector<std::uint8_t> probe_packet(const Flow& flow, std::uint32_t token);

/// Whether a packet (from its IP header on) is that one, whatever its source address and port are
/// by now.
[[nodiscard]] bool is_probe(std::span<const std::uint8_t> packet, const Flow& flow,
                            std::uint32_t token);

}  // namespace panal::netconfine
