// What one alone would not do: tables that are everybody's filled, everybody woken.
#include "bench/redteam/attacks/attack.h"

namespace panal::bench {
namespace {

constexpr unsigned kMany = 2000;
// The kernel has one table of neighbours for all namespaces, the machine's own among them.
constexpr unsigned kFew = 60;
// More than one desktop's connections may be (netconfine: 4,096), and what else goes on beside.
constexpr unsigned kFlows = 8000, kFlowsAllowed = 4400;

Mac numbered_mac(unsigned number) {
  return {
      0x02, 0xf0, 0, 0, static_cast<std::uint8_t>(number >> 8U), static_cast<std::uint8_t>(number)};
}
Ipv4 numbered(Ipv4 network, unsigned number) {
  network[2] = static_cast<std::uint8_t>(network[2] | (number >> 8U & 3U));
  network[3] = static_cast<std::uint8_t>(number);
  return network;
}
Ipv6 numbered(Ipv6 network, unsigned number) {
  network[14] = static_cast<std::uint8_t>(number >> 8U);
  network[15] = static_cast<std::uint8_t>(number);
  return network;
}

template <typename Make>
std::vector<Octets> repeated(unsigned count, const Make& make) {
  std::vector<Octets> frames;
  frames.reserve(count);
  for (unsigned i = 0; i < count; ++i) frames.push_back(make(i + 10));
  return frames;
}

}  // namespace

void add_floods(Forge& f) {
  const Ground& g = f.g;
  f.topic("floods");
  f.add("a bridge's table of MACs", repeated(kMany, [&](unsigned i) {
          return f.frame(kStranger, numbered_mac(i), f.udp(g.me4, g.nobody4));
        }));
  f.add("a bridge's table of MACs, ARP", repeated(kMany, [&](unsigned i) {
          return ethernet(
              kEverybody, numbered_mac(i), kTypeArp,
              arp(1, numbered_mac(i), g.nobody4, kNoMac, g.nobody4) + Octets(10, 0) + f.mark());
        }));
  f.add("a storm of broadcasts",
        repeated(kMany, [&](unsigned) { return f.all(f.udp(g.me4, ip4("255.255.255.255"))); }));
  f.add("a storm of multicasts",
        repeated(kMany, [&](unsigned) { return f.all(f.udp(g.me6, ip6("ff02::1"))); }));
  f.add("a storm to a MAC nobody has",
        repeated(kMany, [&](unsigned) { return f.frame(kStranger, f.udp(g.me4, g.nobody4)); }));
  f.add("neighbours by ARP requests", repeated(kFew, [&](unsigned i) {
          return f.neighbour(kEverybody, arp(1, g.me, numbered(g.network4, i), kNoMac, g.gateway4));
        }));
  f.add("neighbours by solicitations", repeated(kFew, [&](unsigned i) {
          return f.host(f.discovery(numbered(g.network6, i), g.gateway6, 135,
                                    Octets(4, 0) + raw(g.gateway6) + Octets{1, 1} + raw(g.me)));
        }));
  f.add("neighbours by addresses nobody has",
        repeated(kFew, [&](unsigned i) { return f.host(f.udp(g.me4, numbered(g.network4, i))); }));
  f.add("neighbours by IPv6 addresses nobody has",
        repeated(kFew, [&](unsigned i) { return f.host(f.udp(g.me6, numbered(g.network6, i))); }));
  f.add("neighbours outside", repeated(kFew, [&](unsigned i) {
          return f.out(f.udp(g.me4, Ipv4{192, 0, 2, static_cast<std::uint8_t>(i)}, {40000, 53}));
        }));
  f.add("half of a datagram, again and again", repeated(kMany, [&](unsigned i) {
          return f.out(ip(g.me4, g.service4, kUdp, f.mark(),
                          {.fragment = 0x2000, .id = static_cast<std::uint16_t>(i)}));
        }));
  f.add("half of a datagram over IPv6, again and again", repeated(kMany, [&](unsigned i) {
          return f.out(ip(g.me6, g.service6, 44, Octets{kUdp, 0, 0, 1} + be32(i) + f.mark()));
        }));
  f.add("SYNs to the host", repeated(kMany, [&](unsigned i) {
          return f.host(f.tcp(g.me4, g.host4, kSyn, {static_cast<std::uint16_t>(10000 + i), 22}));
        }));
  // These may be asked for, but not all there is room for; so only the count tells.
  const auto questions = [&](const auto& from, const auto& to) {
    return repeated(kFlows, [&](unsigned i) {
      const Octets data = {'?'};
      const Ports ports{static_cast<std::uint16_t>(20000 + i), 53};
      return f.out(ip(from, to, kUdp, udp_segment(raw(from), raw(to), ports, data)));
    });
  };
  f.add("connections", questions(g.me4, g.service4), kFlowsAllowed);
  f.add("connections over IPv6", questions(g.me6, g.service6), kFlowsAllowed);
}

}  // namespace panal::bench
