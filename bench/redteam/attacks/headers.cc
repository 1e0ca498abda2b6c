// Headers that hide what a packet is: fragments (RFC 791, 1858, 5722, 6946), IPv4 options, IPv6
// extension headers (RFC 8200). To the service they carry what would be allowed without.
#include "bench/redteam/attacks/attack.h"

namespace panal::bench {
namespace {

constexpr Ports kDns{40001, 53};
constexpr std::uint16_t kMore = 0x2000;

// The fragment header; `place` in units of 8 bytes.
Octets fragment6(std::uint8_t next, std::uint32_t place, bool more) {
  return Octets{next, 0} + be16(place << 3U | (more ? 1U : 0U)) + be32(77);
}

void add_fragments4(Forge& f) {
  const Ground& g = f.g;
  f.topic("fragments");
  const auto piece = [&](const Ipv4& to, const Octets& data, std::uint32_t flags_and_place) {
    return ip(g.me4, to, kUdp, data, {.fragment = static_cast<std::uint16_t>(flags_and_place)});
  };
  const auto whole = [&](const Ipv4& to) {
    return udp_segment(raw(g.me4), raw(to), kDns, f.mark() + f.mark());
  };
  const auto first = [](const Octets& all) { return Octets(all.begin(), all.begin() + 16); };
  const auto rest = [](const Octets& all) { return Octets(all.begin() + 16, all.end()); };
  f.add("first fragment to the service", f.out(piece(g.service4, whole(g.service4), kMore)));
  f.add("later fragment to the service", f.out(piece(g.service4, f.mark(), 100)));
  f.add("last fragment to the victim", f.victim(piece(g.victim4, f.mark(), 2)));
  f.add("first fragment to the victim", f.victim(piece(g.victim4, whole(g.victim4), kMore)));
  f.add("two fragments to the service", {f.out(piece(g.service4, first(whole(g.service4)), kMore)),
                                         f.out(piece(g.service4, rest(whole(g.service4)), 2))});
  f.add("two fragments to the host", {f.host(piece(g.host4, first(whole(g.host4)), kMore)),
                                      f.host(piece(g.host4, rest(whole(g.host4)), 2))});
  f.add("two fragments to the victim, the last first",
        {f.victim(piece(g.victim4, rest(whole(g.victim4)), 2)),
         f.victim(piece(g.victim4, first(whole(g.victim4)), kMore))});
  f.add("overlapping fragments to the service",
        {f.out(piece(g.service4, whole(g.service4), kMore)),
         f.out(piece(g.service4, be16(40000) + be16(54) + be32(0) + f.mark(), kMore)),
         f.out(piece(g.service4, f.mark(), 3))});
  f.add("overlapping fragments to the victim",
        {f.victim(piece(g.victim4, whole(g.victim4), kMore)),
         f.victim(piece(g.victim4, f.mark() + f.mark(), 1))});
  f.add("TCP's ports without its flags to the victim",
        f.victim(ip(g.me4, g.victim4, kTcp, f.mark(), {.fragment = kMore})));
  f.add("a fragment that would end past 65,535",
        f.victim(piece(g.victim4, f.mark() + f.mark(), 0x1fff)));
  f.add("do not and more fragments", f.victim(piece(g.victim4, whole(g.victim4), kMore | 0x4000)));
  f.add("ping in a fragment", f.victim(ip(g.me4, g.victim4, kIcmp,
                                          icmp_message(g.me4, g.victim4, 8, 0, f.mark() + f.mark()),
                                          {.fragment = kMore})));
}

void add_fragments6(Forge& f) {
  const Ground& g = f.g;
  const auto piece = [&](const Ipv6& to, const Octets& data, std::uint32_t place, bool more) {
    return ip(g.me6, to, 44, fragment6(kUdp, place, more) + data);
  };
  const auto whole = [&](const Ipv6& to) {
    return udp_segment(raw(g.me6), raw(to), kDns, f.mark());
  };
  f.add("IPv6 atomic fragment to the service",
        f.out(piece(g.service6, whole(g.service6), 0, false)));
  f.add("IPv6 atomic fragment to the victim",
        f.victim(piece(g.victim6, whole(g.victim6), 0, false)));
  f.add("IPv6 first fragment to the service", f.out(piece(g.service6, whole(g.service6), 0, true)));
  f.add("IPv6 first fragment to the victim", f.victim(piece(g.victim6, whole(g.victim6), 0, true)));
  f.add("IPv6 later fragment to the victim", f.victim(piece(g.victim6, f.mark(), 9, false)));
  f.add("IPv6 two fragments to the service", {f.out(piece(g.service6, whole(g.service6), 0, true)),
                                              f.out(piece(g.service6, f.mark(), 2, false))});
  f.add("IPv6 two fragments to the host", {f.host(piece(g.host6, whole(g.host6), 0, true)),
                                           f.host(piece(g.host6, f.mark(), 2, false))});
  f.add("IPv6 overlapping fragments to the victim",
        {f.victim(piece(g.victim6, whole(g.victim6), 0, true)),
         f.victim(piece(g.victim6, f.mark(), 1, false))});
  f.add(
      "IPv6 fragment behind destination options",
      f.victim(ip(g.me6, g.victim6, 60,
                  Octets{44, 0, 1, 4, 0, 0, 0, 0} + fragment6(kUdp, 0, true) + whole(g.victim6))));
}

void add_options(Forge& f) {
  const Ground& g = f.g;
  f.topic("IPv4 options");
  const auto route = [&](std::uint8_t kind, const Ipv4& by) {
    return Octets{kind, 7, 4} + raw(by) + Octets{0};
  };
  const std::vector<std::pair<const char*, Octets>> options = {
      {"a loose source route", route(131, g.victim4)},
      {"a strict source route", route(137, g.victim4)},
      {"a recorded route", Octets{7, 7, 4, 0, 0, 0, 0, 0}},
      {"time stamps", Octets{68, 8, 5, 0, 0, 0, 0, 0}},
      {"a router alert", Octets{148, 4, 0, 0}},
      {"a security label", Octets{134, 6, 0, 0, 0, 1, 0, 0}},
      {"a stream", Octets{136, 4, 0, 7}},
      {"no operations", Octets{1, 1, 1, 1}},
      {"an option nobody knows", Octets{0x9e, 4, 1, 2}},
      {"an end and what follows it", Octets{0, 7, 7, 7}},
      {"40 bytes of options", Octets(40, 1)}};
  for (const auto& [what, bytes] : options) {
    const Header header{.options = bytes};
    f.add(std::string("to the victim with ") + what, f.victim(f.udp(g.me4, g.victim4, {}, header)));
    f.add(std::string("to the service with ") + what,
          f.out(f.udp(g.me4, g.service4, kDns, header)));
  }
  f.add("to the victim with an option of no length",
        f.victim(f.udp(g.me4, g.victim4, {}, {.options = {7, 0, 0, 0}})));
  f.add("to the victim with an option past the header's end",
        f.victim(f.udp(g.me4, g.victim4, {}, {.options = {7, 39, 4, 0}})));
  f.add("to the victim by way of the host",
        f.host(f.udp(g.me4, g.host4, {}, {.options = route(131, g.victim4)})));
}

void add_extensions(Forge& f) {
  const Ground& g = f.g;
  f.topic("IPv6 extension headers");
  const Octets padding{1, 4, 0, 0, 0, 0};
  const auto udp_to = [&](const Ipv6& to) {
    return udp_segment(raw(g.me6), raw(to), kDns, f.mark());
  };
  const auto routing = [&](std::uint8_t type, const Ipv6& by) {
    return Octets{kUdp, 2, type, 1, 0, 0, 0, 0} + raw(by);
  };
  struct Extension {
    const char* what;
    std::uint8_t next;
    Octets header;
  };
  const std::vector<Extension> extensions = {
      {"hop-by-hop options", 0, Octets{kUdp, 0} + padding},
      {"a router alert", 0, Octets{kUdp, 0, 5, 2, 0, 0, 1, 0}},
      {"a jumbo length", 0, Octets{kUdp, 0, 0xc2, 4, 0, 1, 0, 0}},
      {"a routing header 0", 43, routing(0, g.victim6)},
      {"a routing header 2", 43, routing(2, g.victim6)},
      {"a segment route", 43, routing(4, g.victim6)},
      {"destination options", 60, Octets{kUdp, 0} + padding},
      {"an authentication header", 51, Octets{kUdp, 4, 0, 0} + be32(1) + be32(1) + Octets(12, 0)},
      {"a mobility header", 135, Octets{kUdp, 0, 5, 0, 0, 0, 0, 0}},
      {"a host identity header", 139, Octets{kUdp, 4, 1, 0x11} + Octets(36, 0)},
      {"a shim6 header", 140, Octets{kUdp, 0, 0x80, 0, 0, 0, 0, 0}},
      {"an experiment", 253, Octets{kUdp, 0} + padding},
      {"two destination options", 60, Octets{60, 0} + padding + Octets{kUdp, 0} + padding}};
  for (const auto& [what, next, header] : extensions) {
    f.add(std::string("over IPv6 to the victim with ") + what,
          f.victim(ip(g.me6, g.victim6, next, header + udp_to(g.victim6))));
    f.add(std::string("over IPv6 to the service with ") + what,
          f.out(ip(g.me6, g.service6, next, header + udp_to(g.service6))));
  }
  f.add("over IPv6 to the victim with no next header", f.victim(f.other(g.me6, g.victim6, 59)));
  f.add("over IPv6 to the service with no next header", f.out(f.other(g.me6, g.service6, 59)));
  Octets many;
  for (int i = 0; i < 10; ++i) many = many + Octets{60, 0} + padding;
  f.add("over IPv6 to the victim with eleven headers",
        f.victim(ip(g.me6, g.victim6, 60, many + Octets{kUdp, 0} + padding + udp_to(g.victim6))));
  f.add("over IPv6 to the victim, hop-by-hop options in second place",
        f.victim(ip(g.me6, g.victim6, 60,
                    Octets{0, 0} + padding + Octets{kUdp, 0} + padding + udp_to(g.victim6))));
  f.add("over IPv6 to the host by a routing header to the victim",
        f.host(ip(g.me6, g.host6, 43, routing(0, g.victim6) + udp_to(g.host6))));
}

}  // namespace

void add_headers(Forge& f) {
  add_fragments4(f);
  add_fragments6(f);
  add_options(f);
  add_extensions(f);
}

}  // namespace panal::bench
