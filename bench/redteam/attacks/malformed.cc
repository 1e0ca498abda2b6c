// Packets that are not what they say: wrong sums and lengths, impossible ports, addresses and hops.
#include "bench/redteam/attacks/attack.h"

namespace panal::bench {
namespace {

constexpr std::size_t kLengthAt = 2, kTtlAt = 8, kSumAt = 10, kTransport4 = 20, kTransport6 = 40;

// With an IPv4 header as it is after `change`, its checksum not corrected.
Packet with(Packet packet, std::size_t at, std::uint8_t byte) {
  packet.bytes[at] = byte;
  return packet;
}

Packet with_sum(Packet packet) {
  packet.bytes[kSumAt] = packet.bytes[kSumAt + 1] = 0;
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < kTransport4; i += 2)
    sum += static_cast<std::uint32_t>(packet.bytes[i] << 8U | packet.bytes[i + 1]);
  while ((sum >> 16U) != 0) sum = (sum & 0xffffU) + (sum >> 16U);
  packet.bytes[kSumAt] = static_cast<std::uint8_t>(~sum >> 8U);
  packet.bytes[kSumAt + 1] = static_cast<std::uint8_t>(~sum);
  return packet;
}

}  // namespace

void add_malformed(Forge& f) {
  const Ground& g = f.g;
  f.topic("malformed packets");
  const Ports dns{40001, 53};
  const auto to_victim = [&] { return f.udp(g.me4, g.victim4); };
  const auto to_victim6 = [&] { return f.udp(g.me6, g.victim6); };
  const auto to_service = [&] { return f.udp(g.me4, g.service4, dns); };
  f.add("a wrong header checksum", f.victim(with(to_victim(), kSumAt, 0x55)));
  f.add("a wrong UDP checksum", f.victim(with(to_victim(), kTransport4 + 6, 0x55)));
  f.add("a wrong UDP checksum over IPv6", f.victim(with(to_victim6(), kTransport6 + 6, 0x55)));
  f.add("no UDP checksum over IPv6",
        f.victim(with(with(to_victim6(), kTransport6 + 6, 0), kTransport6 + 7, 0)));
  f.add("a wrong UDP checksum to the service, another's address",
        f.out(with(f.udp(g.victim4, g.service4, dns), kTransport4 + 6, 0x55)));
  f.add("a UDP length of 0", f.victim(with(to_victim(), kTransport4 + 5, 0)));
  f.add("a UDP length past the end", f.victim(with(to_victim(), kTransport4 + 4, 9)));
  f.add("from port 0", f.victim(f.udp(g.me4, g.victim4, {0, 7777})));
  f.add("to port 0", f.victim(f.udp(g.me4, g.victim4, {40000, 0})));
  f.add("TCP to port 0", f.victim(f.tcp(g.me4, g.victim4, kSyn, {40000, 0})));
  f.add("over IPv6 to port 0", f.victim(f.udp(g.me6, g.victim6, {40000, 0})));
  f.add("a TCP header of 4 words",
        f.victim(with(f.tcp(g.me4, g.victim4, kSyn), kTransport4 + 12, 0x40)));
  f.add("a length less than the frame's", f.victim(with_sum(with(to_victim(), kLengthAt + 1, 28))));
  f.add("a length past the frame's", f.victim(with_sum(with(to_victim(), kLengthAt, 1))));
  f.add("a length of 0",
        f.victim(with_sum(with(with(to_victim(), kLengthAt, 0), kLengthAt + 1, 0))));
  f.add("version 5", f.victim(with_sum(with(to_victim(), 0, 0x55))));
  f.add("a header of 4 words", f.victim(with_sum(with(to_victim(), 0, 0x44))));
  f.add("a header of 15 words", f.victim(with_sum(with(to_victim(), 0, 0x4f))));
  f.add("IPv6 with version 4", f.victim(with(to_victim6(), 0, 0x40)));
  f.add("IPv6 with a length past the frame's", f.victim(with(to_victim6(), 4, 1)));
  f.add("IPv4 that is called IPv6", ethernet(g.to_victim, g.me, kTypeIp6, to_victim().bytes));
  f.add("IPv6 that is called IPv4", ethernet(g.to_victim, g.me, kTypeIp4, to_victim6().bytes));
  f.add("half an IPv4 header",
        ethernet(g.to_victim, g.me, kTypeIp4, Octets{0x45, 0, 0, 20} + f.mark()));
  f.add("half an IPv6 header",
        ethernet(g.to_victim, g.me, kTypeIp6, Octets{0x60, 0, 0, 0} + f.mark()));
  f.add("a header and no more", f.victim(ip(g.me4, g.victim4, kUdp, Octets(0) + f.mark())));
  f.add("the reserved bit", f.victim(f.udp(g.me4, g.victim4, {}, {.fragment = 0x8000})));
  f.add("a time to live of 0", f.victim(with_sum(with(to_victim(), kTtlAt, 0))));
  f.add("a time to live of 1", f.victim(with_sum(with(to_victim(), kTtlAt, 1))));
  f.add("a time to live of 1 to the service", f.out(with_sum(with(to_service(), kTtlAt, 1))));
  f.add("a hop limit of 1 to the service", f.out(f.udp(g.me6, g.service6, dns, {.ttl = 1})));
  f.add("a time to live of 0 to the service", f.out(with_sum(with(to_service(), kTtlAt, 0))));
  f.add("a hop limit of 1 over IPv6 to the victim",
        f.victim(f.udp(g.me6, g.victim6, {}, {.ttl = 1})));
  f.add("all of the type of service", f.victim(f.udp(g.me4, g.victim4, {}, {.traffic = 0xff})));
  f.add("all of the traffic class", f.victim(f.udp(g.me6, g.victim6, {}, {.traffic = 0xff})));
  f.add("from the victim to the victim", f.victim(f.udp(g.victim4, g.victim4)));
  f.add("over IPv6 from the victim to the victim", f.victim(f.udp(g.victim6, g.victim6)));
  f.add("TCP SYN from the victim to the victim",
        f.victim(f.tcp(g.victim4, g.victim4, kSyn, {7777, 7777})));
  f.add("from the host to the host", f.host(f.udp(g.host4, g.host4)));
  f.add("TCP SYN from the host to the host", f.host(f.tcp(g.host4, g.host4, kSyn, {22, 22})));
  f.add("over IPv6 from the host to the host", f.host(f.udp(g.host6, g.host6)));
  f.add("to itself by way of the host", f.host(f.udp(g.me4, g.me4)));
  f.add("over IPv6 to itself by way of the host", f.host(f.udp(g.me6, g.me6)));
  f.add("TCP SYN to everybody", f.all(f.tcp(g.me4, g.broadcast4, kSyn)));
  f.add("to 0.0.0.0", f.host(f.udp(g.me4, ip4("0.0.0.0"))));
  f.add("to ::", f.host(f.udp(g.me6, ip6("::"))));
  f.add("to the network address", f.all(f.udp(g.me4, g.network4)));
  f.add("to class E", f.out(f.udp(g.me4, ip4("240.0.0.1"), dns)));
}

}  // namespace panal::bench
