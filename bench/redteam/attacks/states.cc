// Segments of connections that nobody has opened, and messages about those of others.
#include "bench/redteam/attacks/attack.h"

namespace panal::bench {

void add_states(Forge& f) {
  const Ground& g = f.g;
  f.topic("TCP out of nowhere");
  struct Flags {
    const char* what;
    unsigned flags;
  };
  const std::vector<Flags> all = {{"SYN and ACK", kSyn | kAck},
                                  {"ACK", kAck},
                                  {"data", kAck | kPush},
                                  {"RST", kRst},
                                  {"RST and ACK", kRst | kAck},
                                  {"FIN", kFin},
                                  {"no flag", 0},
                                  {"all flags", 0x3f},
                                  {"SYN and FIN", kSyn | kFin},
                                  {"FIN, PSH, URG", kFin | kPush | kUrgent}};
  // To the service: the port is allowed, but no connection begins in its middle.
  for (const auto& [what, flags] : all) {
    const auto bits = static_cast<std::uint8_t>(flags);
    f.add(std::string(what) + " to the victim", f.victim(f.tcp(g.me4, g.victim4, bits)));
    f.add(std::string(what) + " over IPv6 to the victim", f.victim(f.tcp(g.me6, g.victim6, bits)));
    f.add(std::string(what) + " to the service",
          f.out(f.tcp(g.me4, g.service4, bits, {41000, 53})));
    f.add(std::string(what) + " over IPv6 to the service",
          f.out(f.tcp(g.me6, g.service6, bits, {41000, 53})));
  }
  // Into a connection that the victim has (the site opens it: UDP 40000 -> 53).
  f.add("answer into the victim's connection", f.victim(f.udp(g.service4, g.victim4, {53, 40000})));
  f.add("answer over IPv6 into the victim's connection",
        f.victim(f.udp(g.service6, g.victim6, {53, 40000})));
  f.add("question in the victim's connection", f.out(f.udp(g.victim4, g.service4, {40000, 53})));
  f.add("question over IPv6 in the victim's connection",
        f.out(f.udp(g.victim6, g.service6, {40000, 53})));
  f.add("its own answer into the victim's connection",
        f.victim(f.udp(g.me4, g.victim4, {53, 40000}, {.id = 1})));
  f.add("to the port that the host gave the victim's connection",
        f.host(f.udp(g.me4, g.node4, {53, 40000})));
}

void add_errors(Forge& f) {
  const Ground& g = f.g;
  f.topic("ICMP about others' connections");
  // As they are on the wire: the victim's question and the service's answer.
  const Octets asked4 =
      ip(g.victim4, g.service4, kUdp, udp_segment(raw(g.victim4), raw(g.service4), {40000, 53}, {}))
          .bytes;
  const Octets told4 =
      ip(g.service4, g.victim4, kUdp, udp_segment(raw(g.service4), raw(g.victim4), {53, 40000}, {}))
          .bytes;
  const Octets asked6 =
      ip(g.victim6, g.service6, kUdp, udp_segment(raw(g.victim6), raw(g.service6), {40000, 53}, {}))
          .bytes;
  const Octets told6 =
      ip(g.service6, g.victim6, kUdp, udp_segment(raw(g.service6), raw(g.victim6), {53, 40000}, {}))
          .bytes;
  struct Error {
    const char* what;
    std::uint8_t type4, code4, type6, code6;
    Octets word;
  };
  const std::vector<Error> errors = {
      {"port unreachable", 3, 3, 1, 4, be32(0)}, {"network unreachable", 3, 0, 1, 0, be32(0)},
      {"prohibited", 3, 13, 1, 1, be32(0)},      {"too big", 3, 4, 2, 0, be32(1280)},
      {"time exceeded", 11, 0, 3, 0, be32(0)},   {"parameter problem", 12, 0, 4, 0, be32(0)}};
  for (const auto& [what, type4, code4, type6, code6, word] : errors) {
    const std::string name = what;
    f.add(name + " to the victim", f.victim(f.icmp(g.me4, g.victim4, type4, code4, word + asked4)));
    f.add(name + " over IPv6 to the victim",
          f.victim(f.icmp(g.me6, g.victim6, type6, code6, word + asked6)));
    f.add(name + " to the service", f.out(f.icmp(g.me4, g.service4, type4, code4, word + told4)));
    f.add(name + " over IPv6 to the service",
          f.out(f.icmp(g.me6, g.service6, type6, code6, word + told6)));
  }
  f.add("port unreachable to the victim as the service",
        f.victim(f.icmp(g.service4, g.victim4, 3, 3, be32(0) + asked4)));
  f.add("port unreachable to the victim as the gateway",
        f.victim(f.icmp(g.gateway4, g.victim4, 3, 3, be32(0) + asked4)));
  f.add("too big over IPv6 to the victim as the gateway",
        f.victim(f.icmp(g.gateway6, g.victim6, 2, 0, be32(1280) + asked6)));
  f.add("port unreachable to the service as the victim",
        f.out(f.icmp(g.victim4, g.service4, 3, 3, be32(0) + told4)));
  f.add("port unreachable about a connection that is not there",
        f.out(f.icmp(g.me4, g.service4, 3, 3,
                     be32(0) + ip(g.service4, g.me4, kUdp,
                                  udp_segment(raw(g.service4), raw(g.me4), {53, 44444}, {}))
                                   .bytes)));
  f.topic("other ICMP");
  f.add("redirect as the gateway",
        f.victim(f.icmp(g.gateway4, g.victim4, 5, 1, raw(g.me4) + asked4)));
  f.add("redirect by its own address",
        f.victim(f.icmp(g.me4, g.victim4, 5, 1, raw(g.me4) + asked4)));
  f.add("redirect to the host", f.host(f.icmp(g.me4, g.host4, 5, 1, raw(g.me4) + asked4)));
  f.add("router advertisement of ICMP",
        f.all(f.icmp(g.me4, ip4("224.0.0.1"), 9, 0, Octets{1, 2, 7, 8} + raw(g.me4) + be32(9))));
  f.add("router solicitation of ICMP", f.all(f.icmp(g.me4, ip4("224.0.0.2"), 10, 0, be32(0))));
  f.add("source quench", f.victim(f.icmp(g.me4, g.victim4, 4, 0, be32(0) + asked4)));
  f.add("time stamp of the victim", f.victim(f.icmp(g.me4, g.victim4, 13, 0, Octets(16, 0))));
  f.add("time stamp of the host", f.host(f.icmp(g.me4, g.host4, 13, 0, Octets(16, 0))));
  f.add("address mask of the victim", f.victim(f.icmp(g.me4, g.victim4, 17, 0, Octets(8, 0))));
  f.add("information request", f.victim(f.icmp(g.me4, g.victim4, 15)));
  f.add("extended echo of the victim", f.victim(f.icmp(g.me4, g.victim4, 42)));
  f.add("echo reply to the victim", f.victim(f.icmp(g.me4, g.victim4, 0)));
  f.add("echo reply over IPv6 to the victim", f.victim(f.icmp(g.me6, g.victim6, 129)));
  f.add("echo reply to the service", f.out(f.icmp(g.me4, g.service4, 0)));
  f.add("echo reply over IPv6 to the service", f.out(f.icmp(g.me6, g.service6, 129)));
  f.add("node information of the victim",
        f.victim(f.icmp(g.me6, g.victim6, 139, 0, Octets(12, 0) + raw(g.victim6))));
  f.add("router renumbering", f.all(f.icmp(g.me6, ip6("ff02::1"), 138, 1, Octets(12, 0))));
  f.add("an experiment of ICMPv6", f.victim(f.icmp(g.me6, g.victim6, 200)));
  f.add("an error of ICMPv6 nobody knows",
        f.victim(f.icmp(g.me6, g.victim6, 100, 0, be32(0) + asked6)));
}

}  // namespace panal::bench
