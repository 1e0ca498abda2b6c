// Packets in somebody else's name: another's address, an address that nobody has, or nobody may
// send from (RFC 6890), and frames by another's MAC.
#include "bench/redteam/attacks/attack.h"

namespace panal::bench {
namespace {

template <typename Address>
struct Claim {
  const char* who;
  Address address;
};

std::vector<Claim<Ipv4>> claims4(const Ground& g) {
  return {{"a neighbour", g.third4},
          {"the gateway", g.gateway4},
          {"the host", g.host4},
          {"the host's uplink", g.node4},
          {"the service", g.service4},
          {"nobody's desktop", g.nobody4},
          {"the network address", g.network4},
          {"the prefix's broadcast", g.broadcast4},
          {"0.0.0.0", ip4("0.0.0.0")},
          {"broadcast", ip4("255.255.255.255")},
          {"multicast", ip4("224.0.0.1")},
          {"loopback", ip4("127.0.0.1")},
          {"link-local", ip4("169.254.7.7")},
          {"a cloud's metadata", ip4("169.254.169.254")},
          {"class E", ip4("240.0.0.1")},
          {"a private address", ip4("192.168.1.1")},
          {"a carrier's address", ip4("100.64.0.1")},
          {"the 6to4 relay", ip4("192.88.99.1")},
          {"the internet", ip4("8.8.8.8")}};
}

std::vector<Claim<Ipv6>> claims6(const Ground& g) {
  return {{"a neighbour", g.third6},
          {"the gateway", g.gateway6},
          {"the host", g.host6},
          {"the host's uplink", g.node6},
          {"the service", g.service6},
          {"nobody's desktop", g.nobody6},
          {"the prefix's routers", g.network6},
          {"::", ip6("::")},
          {"::1", ip6("::1")},
          {"multicast", ip6("ff02::1")},
          {"own link-local", g.my_local6},
          {"a neighbour's link-local", ip6("fe80::70:ff:fe00:3")},
          {"IPv4-mapped", ip6("::ffff:10.77.0.3")},
          {"IPv4-compatible", ip6("::10.77.0.3")},
          {"ISATAP", ip6("fe80::5efe:a4d:3")},
          {"6to4", ip6("2002:a4d:3::1")},
          {"Teredo", ip6("2001:0:a4d:3::1")},
          {"a translator", ip6("64:ff9b::a4d:3")},
          {"site-local", ip6("fec0::7")},
          {"the internet", ip6("2001:4860:4860::8888")}};
}

}  // namespace

void add_sources(Forge& f) {
  const Ground& g = f.g;
  f.topic("source addresses");
  for (const auto& [who, address] : claims4(g))
    f.add(std::string("IPv4 to the victim as ") + who, f.victim(f.udp(address, g.victim4)));
  for (const auto& [who, address] : claims6(g))
    f.add(std::string("IPv6 to the victim as ") + who, f.victim(f.udp(address, g.victim6)));
  f.add("IPv4 to a third as the victim", f.third(f.udp(g.victim4, g.third4)));
  f.add("IPv6 to a third as the victim", f.third(f.udp(g.victim6, g.third6)));
  f.add("IPv4 ping of a third as the victim", f.third(f.icmp(g.victim4, g.third4, 8)));
  f.add("IPv6 ping of a third as the victim", f.third(f.icmp(g.victim6, g.third6, 128)));
  f.add("IPv4 to the host as the victim", f.host(f.udp(g.victim4, g.host4)));
  f.add("IPv6 to the host as the victim", f.host(f.udp(g.victim6, g.host6)));
  f.add("IPv4 to the host as the internet", f.host(f.udp(ip4("8.8.8.8"), g.host4)));
  f.add("IPv6 to the host as the internet", f.host(f.udp(ip6("2001:4860:4860::8888"), g.host6)));
  // What the service allows, in another's name: it would be asked, and answer, for the victim.
  const Ports dns{40001, 53};
  f.add("IPv4 to the service as the victim", f.out(f.udp(g.victim4, g.service4, dns)));
  f.add("IPv6 to the service as the victim", f.out(f.udp(g.victim6, g.service6, dns)));
  f.add("IPv4 to the service as nobody's desktop", f.out(f.udp(g.nobody4, g.service4, dns)));
  f.add("IPv6 to the service as nobody's desktop", f.out(f.udp(g.nobody6, g.service6, dns)));
  f.add("IPv4 to the service as the internet", f.out(f.udp(ip4("8.8.8.8"), g.service4, dns)));
  f.add("IPv6 to the service as the internet",
        f.out(f.udp(ip6("2001:4860:4860::8888"), g.service6, dns)));
  f.add("TCP to the service as the victim", f.out(f.tcp(g.victim4, g.service4, kSyn, dns)));
  f.add("TCP over IPv6 to the service as the victim",
        f.out(f.tcp(g.victim6, g.service6, kSyn, dns)));
}

void add_macs(Forge& f) {
  const Ground& g = f.g;
  f.topic("source MACs");
  const std::vector<std::pair<const char*, Mac>> macs = {
      {"a stranger's", kStranger}, {"the victim's", g.victim}, {"the host's", g.host},
      {"everybody's", kEverybody}, {"all nodes'", kAllNodes},  {"no", kNoMac}};
  const Ports dns{40001, 53};
  for (const auto& [whose, mac] : macs) {
    const std::string by = std::string(" by ") + whose + " MAC";
    f.add("IPv4 to the host" + by, f.frame(g.host, mac, f.udp(g.me4, g.host4)));
    f.add("IPv6 to the host" + by, f.frame(g.host, mac, f.udp(g.me6, g.host6)));
    f.add("IPv4 to the service" + by, f.frame(g.host, mac, f.udp(g.me4, g.service4, dns)));
    f.add("IPv6 to the service" + by, f.frame(g.host, mac, f.udp(g.me6, g.service6, dns)));
  }
  f.add("IPv4 to a third by the victim's MAC and address",
        f.frame(g.to_third, g.victim, f.udp(g.victim4, g.third4)));
  f.add("IPv6 to a third by the victim's MAC and address",
        f.frame(g.to_third, g.victim, f.udp(g.victim6, g.third6)));
}

}  // namespace panal::bench
