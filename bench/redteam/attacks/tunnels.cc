// Packets in packets, and protocols beside TCP, UDP and ICMP: no policy opens them, and what is
// inside must not come out on the other side.
#include "bench/redteam/attacks/attack.h"

namespace panal::bench {

void add_tunnels(Forge& f) {
  const Ground& g = f.g;
  f.topic("tunnels");
  const auto inner4 = [&] { return f.udp(g.third4, g.victim4).bytes; };
  const auto inner6 = [&] { return f.udp(g.third6, g.victim6).bytes; };
  const Octets gre4 = be16(0) + be16(kTypeIp4), gre6 = be16(0) + be16(kTypeIp6),
               gre_frame = be16(0) + be16(0x6558);
  f.add("IPv4 in IPv4 to the victim", f.victim(ip(g.me4, g.victim4, 4, inner4())));
  f.add("IPv4 in IPv4 to the host", f.host(ip(g.me4, g.host4, 4, inner4())));
  f.add("IPv4 in IPv4 to the service", f.out(ip(g.me4, g.service4, 4, inner4())));
  f.add("IPv6 in IPv4 to the victim", f.victim(ip(g.me4, g.victim4, 41, inner6())));
  f.add("IPv6 in IPv4 to the host", f.host(ip(g.me4, g.host4, 41, inner6())));
  f.add("IPv6 in IPv4 to the 6to4 relay", f.out(ip(g.me4, ip4("192.88.99.1"), 41, inner6())));
  f.add("IPv4 in IPv6 to the victim", f.victim(ip(g.me6, g.victim6, 4, inner4())));
  f.add("IPv6 in IPv6 to the victim", f.victim(ip(g.me6, g.victim6, 41, inner6())));
  f.add("IPv6 in IPv6 to the host", f.host(ip(g.me6, g.host6, 41, inner6())));
  f.add("IPv6 in IPv6 to the service", f.out(ip(g.me6, g.service6, 41, inner6())));
  f.add("GRE to the victim", f.victim(ip(g.me4, g.victim4, 47, gre4 + inner4())));
  f.add("GRE to the host", f.host(ip(g.me4, g.host4, 47, gre4 + inner4())));
  f.add("GRE to the service", f.out(ip(g.me4, g.service4, 47, gre4 + inner4())));
  f.add("GRE over IPv6 to the victim", f.victim(ip(g.me6, g.victim6, 47, gre6 + inner6())));
  f.add("GRE with a frame to the victim",
        f.victim(ip(g.me4, g.victim4, 47, gre_frame + f.victim(f.udp(g.third4, g.victim4)))));
  f.add("EtherIP to the victim",
        f.victim(ip(g.me4, g.victim4, 97, Octets{0x30, 0} + f.victim(f.udp(g.third4, g.victim4)))));
  f.add("L2TP to the victim", f.victim(f.other(g.me4, g.victim4, 115, be32(1))));
  f.add("MPLS in IPv4 to the victim",
        f.victim(ip(g.me4, g.victim4, 137, be32(0x00010140) + inner4())));
  const Octets vxlan = Octets{8, 0, 0, 0, 0, 0, 5, 0};
  const auto carry = [&](const Ipv4& to, std::uint16_t port, const Octets& head) {
    return ip(g.me4, to, kUdp,
              udp_segment(raw(g.me4), raw(to), {port, port},
                          head + f.frame(g.victim, f.udp(g.third4, g.victim4))));
  };
  f.add("VXLAN to the victim", f.victim(carry(g.victim4, 4789, vxlan)));
  f.add("VXLAN to the host", f.host(carry(g.host4, 4789, vxlan)));
  f.add("Geneve to the host", f.host(carry(g.host4, 6081, Octets{0, 0, 0x65, 0x58, 0, 0, 5, 0})));
  f.add("GTP to the host", f.host(carry(g.host4, 2152, Octets{0x30, 0xff, 0, 60, 0, 0, 0, 1})));
  f.add("Teredo to the internet", f.out(carry(ip4("8.8.8.8"), 3544, {})));
  f.add("WireGuard to the internet", f.out(carry(ip4("8.8.8.8"), 51820, {1, 0, 0, 0})));

  f.topic("other protocols");
  struct Other {
    const char* what;
    std::uint8_t number;
    Octets before;
  };
  const std::vector<Other> others = {
      {"ESP", 50, be32(7) + be32(1)},
      {"AH", 51, Octets{kUdp, 4, 0, 0} + be32(1) + be32(1) + Octets(12, 0)},
      {"SCTP INIT", 132, be16(40000) + be16(53) + be32(0) + be32(0) + Octets{1, 0, 0, 20}},
      {"DCCP request", 33, be16(40000) + be16(53) + Octets{5, 0, 0, 0, 0, 0, 0, 1}},
      {"UDP-Lite", 136, be16(40000) + be16(53) + be16(8) + be16(0)},
      {"IPComp", 108, {kUdp, 0, 0, 2}},
      {"RSVP", 46, {0x10, 1, 0, 0}},
      {"PIM", 103, {0x20, 0, 0, 0}},
      {"protocol 255", 255, {}},
      {"protocol 253", 253, {}}};
  for (const auto& [what, number, before] : others) {
    f.add(std::string(what) + " to the victim",
          f.victim(f.other(g.me4, g.victim4, number, before)));
    f.add(std::string(what) + " to the service", f.out(f.other(g.me4, g.service4, number, before)));
  }
  f.add("ESP over IPv6 to the victim", f.victim(f.other(g.me6, g.victim6, 50, be32(7) + be32(1))));
  f.add("ESP over IPv6 to the service", f.out(f.other(g.me6, g.service6, 50, be32(7) + be32(1))));
  f.add("SCTP over IPv6 to the victim",
        f.victim(f.other(g.me6, g.victim6, 132, be16(40000) + be16(53) + be32(0) + be32(0))));
  f.add("SCTP over IPv6 to the service",
        f.out(f.other(g.me6, g.service6, 132, be16(40000) + be16(53) + be32(0) + be32(0))));
  f.add("IGMP query",
        f.all(f.other(g.me4, ip4("224.0.0.1"), 2, {0x11, 100, 0, 0, 0, 0, 0, 0}, {.ttl = 1})));
  f.add("IGMP report", f.frame({1, 0, 0x5e, 0, 0, 22},
                               f.other(g.me4, ip4("224.0.0.22"), 2, {0x22, 0, 0, 0, 0, 0, 0, 1},
                                       {.ttl = 1, .options = {148, 4, 0, 0}})));
  f.add("IGMP leave",
        f.frame({1, 0, 0x5e, 0, 0, 2},
                f.other(g.me4, ip4("224.0.0.2"), 2, {0x17, 0, 0, 0, 224, 1, 2, 3}, {.ttl = 1})));
  const Octets hop{kIcmp6, 0, 5, 2, 0, 0, 1, 0};
  const auto listener = [&](const Ipv6& to, std::uint8_t type) {
    return ip(g.my_local6, to, 0,
              hop + icmp_message(g.my_local6, to, type, 0, Octets(20, 0) + f.mark()), {.ttl = 1});
  };
  f.add("MLD query", f.all(listener(ip6("ff02::1"), 130)));
  f.add("MLD report", f.all(listener(ip6("ff02::16"), 143)));
  f.add("MLD done", f.all(listener(ip6("ff02::2"), 132)));
  f.add("MLD query without a router alert",
        f.all(f.icmp(g.my_local6, ip6("ff02::1"), 130, 0, Octets(20, 0), {.ttl = 1})));
}

}  // namespace panal::bench
