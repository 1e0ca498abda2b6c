#include "netconfine/probe/packet.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace panal::netconfine {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kIpv4Header = 20, kIpv6Header = 40;
constexpr std::uint8_t kTcp = 6, kUdp = 17, kIcmp = 1, kIcmp6 = 58, kUnassigned = 200;
constexpr std::uint8_t kHops = 64;
constexpr std::string_view kGreeting = "panal net test ";  // who sees it knows where it is from

void put16(Bytes& to, std::size_t value) {
  to.push_back(static_cast<std::uint8_t>(value >> 8U));
  to.push_back(static_cast<std::uint8_t>(value));
}
void put32(Bytes& to, std::uint32_t value) {
  put16(to, value >> 16U);
  put16(to, value & 0xffffU);
}

/// RFC 1071, of parts that are each of even length but for the last.
std::uint16_t checksum(std::span<const std::uint8_t> one, std::span<const std::uint8_t> two = {}) {
  std::uint32_t sum = 0;
  for (const auto part : {one, two})
    for (std::size_t i = 0; i < part.size(); ++i)
      sum += i % 2 == 0 ? std::uint32_t{part[i]} << 8U : part[i];
  while (sum >> 16U != 0) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

std::uint8_t protocol_of(const Flow& flow) {
  switch (flow.protocol) {
    case Protocol::kTcp: return kTcp;
    case Protocol::kUdp: return kUdp;
    case Protocol::kIcmp: return flow.v6 ? kIcmp6 : kIcmp;
    case Protocol::kAny: break;
  }
  return kUnassigned;
}

Bytes greeting(std::uint32_t token) {
  Bytes out(kGreeting.begin(), kGreeting.end());
  put32(out, token);
  return out;
}

/// An ephemeral port that two probes in a row do not share.
std::uint16_t source_port(std::uint32_t token) {
  return static_cast<std::uint16_t>(49'152 + token % 16'000);
}

/// With a checksum of zero, and where it goes; 0: none.
Bytes payload(const Flow& flow, std::uint32_t token, std::size_t& checksum_at) {
  Bytes out;
  checksum_at = 0;
  switch (flow.protocol) {
    case Protocol::kTcp:
      put16(out, source_port(token));
      put16(out, flow.port);
      put32(out, token);  // sequence number
      put32(out, 0);
      put16(out, 0x5002);  // five words, SYN
      put16(out, 1024);    // window
      put32(out, 0);       // checksum, urgent pointer
      checksum_at = 16;
      return out;
    case Protocol::kUdp: {
      const Bytes said = greeting(token);
      put16(out, source_port(token));
      put16(out, flow.port);
      put16(out, 8 + said.size());
      put16(out, 0);
      out.insert(out.end(), said.begin(), said.end());
      checksum_at = 6;
      return out;
    }
    case Protocol::kIcmp: {
      const Bytes said = greeting(token);
      put16(out, flow.v6 ? 0x8000 : 0x0800);  // echo request
      put16(out, 0);
      put16(out, token >> 16U);
      put16(out, 1);
      out.insert(out.end(), said.begin(), said.end());
      checksum_at = 2;
      return out;
    }
    case Protocol::kAny: break;
  }
  return greeting(token);
}

Bytes pseudo_header(const Flow& flow, std::size_t length) {
  Bytes out;
  if (flow.v6) {
    out.insert(out.end(), flow.from6.begin(), flow.from6.end());
    out.insert(out.end(), flow.to6.begin(), flow.to6.end());
    put32(out, static_cast<std::uint32_t>(length));
    put32(out, protocol_of(flow));
  } else {
    out.insert(out.end(), flow.from4.begin(), flow.from4.end());
    out.insert(out.end(), flow.to4.begin(), flow.to4.end());
    put16(out, protocol_of(flow));
    put16(out, length);
  }
  return out;
}

Bytes header(const Flow& flow, std::size_t length) {
  Bytes out;
  if (flow.v6) {
    put32(out, 0x60000000);
    put16(out, length);
    out.push_back(protocol_of(flow));
    out.push_back(kHops);
    out.insert(out.end(), flow.from6.begin(), flow.from6.end());
    out.insert(out.end(), flow.to6.begin(), flow.to6.end());
    return out;
  }
  put16(out, 0x4500);
  put16(out, kIpv4Header + length);
  put16(out, 0);       // identification
  put16(out, 0x4000);  // do not fragment
  out.push_back(kHops);
  out.push_back(protocol_of(flow));
  put16(out, 0);
  out.insert(out.end(), flow.from4.begin(), flow.from4.end());
  out.insert(out.end(), flow.to4.begin(), flow.to4.end());
  const std::uint16_t sum = checksum(out);
  out[10] = static_cast<std::uint8_t>(sum >> 8U);
  out[11] = static_cast<std::uint8_t>(sum);
  return out;
}

bool same(std::span<const std::uint8_t> packet, std::size_t at,
          std::span<const std::uint8_t> wanted) {
  return packet.size() >= at + wanted.size() &&
         std::equal(wanted.begin(), wanted.end(), packet.begin() + static_cast<std::ptrdiff_t>(at));
}

}  // namespace

std::vector<std::uint8_t> probe_packet(const Flow& flow, std::uint32_t token) {
  std::size_t checksum_at = 0;
  Bytes inner = payload(flow, token, checksum_at);
  if (checksum_at != 0) {
    const bool bare = flow.protocol == Protocol::kIcmp && !flow.v6;
    std::uint16_t sum = bare ? checksum(inner) : checksum(pseudo_header(flow, inner.size()), inner);
    if (sum == 0 && flow.protocol == Protocol::kUdp) sum = 0xffff;  // 0 would mean "none"
    inner[checksum_at] = static_cast<std::uint8_t>(sum >> 8U);
    inner[checksum_at + 1] = static_cast<std::uint8_t>(sum);
  }
  Bytes out = header(flow, inner.size());
  out.insert(out.end(), inner.begin(), inner.end());
  return out;
}

bool is_probe(std::span<const std::uint8_t> packet, const Flow& flow, std::uint32_t token) {
  const std::size_t head = flow.v6 ? kIpv6Header : kIpv4Header;
  if (packet.size() < head || packet[0] >> 4U != (flow.v6 ? 6 : 4)) return false;
  // Ours has no options; whoever adds some makes another packet of it.
  if (!flow.v6 && packet[0] != 0x45) return false;
  if (packet[flow.v6 ? 6 : 9] != protocol_of(flow)) return false;
  const bool there = flow.v6 ? same(packet, 24, flow.to6) : same(packet, 16, flow.to4);
  if (!there) return false;
  const auto inner = packet.subspan(head);
  Bytes mark;
  switch (flow.protocol) {
    case Protocol::kTcp:
      put16(mark, flow.port);
      put32(mark, token);
      return same(inner, 2, mark);
    case Protocol::kUdp:
      put16(mark, flow.port);
      return same(inner, 2, mark) && same(inner, 8, greeting(token));
    case Protocol::kIcmp: return same(inner, 8, greeting(token));
    case Protocol::kAny: break;
  }
  return same(inner, 0, greeting(token));
}

}  // namespace panal::netconfine
