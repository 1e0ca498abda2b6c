// Services that a desktop must neither offer nor ask for: addresses, names, wake-ups.
#include "bench/redteam/attacks/attack.h"

namespace panal::bench {
namespace {

// RFC 2131: operation, for an Ethernet, with the magic number and one message type.
Octets dhcp(std::uint8_t operation, std::uint8_t type, const Ipv4& offered, const Mac& client) {
  return Octets{operation, 1, 6, 0} + be32(0x12345678) + be32(0) + be32(0) + raw(offered) +
         be32(0) + be32(0) + raw(client) + Octets(10 + 64 + 128, 0) + be32(0x63825363) +
         Octets{53, 1, type, 255};
}

}  // namespace

void add_services(Forge& f) {
  const Ground& g = f.g;
  f.topic("DHCP and names");
  const Ipv4 none4{}, all4 = ip4("255.255.255.255");
  const auto say4 = [&](const Ipv4& from, const Ipv4& to, const Ports& ports, const Octets& data) {
    return ip(from, to, kUdp, udp_segment(raw(from), raw(to), ports, data + f.mark()));
  };
  const auto say6 = [&](const Ipv6& from, const Ipv6& to, const Ports& ports, const Octets& data) {
    return ip(from, to, kUdp, udp_segment(raw(from), raw(to), ports, data + f.mark()));
  };
  f.add("DHCP discover", f.all(say4(none4, all4, {68, 67}, dhcp(1, 1, none4, g.me))));
  f.add("DHCP discover by its own address",
        f.all(say4(g.me4, all4, {68, 67}, dhcp(1, 1, none4, g.me))));
  f.add("DHCP request for the victim",
        f.all(say4(none4, all4, {68, 67}, dhcp(1, 3, g.victim4, g.victim))));
  f.add("DHCP inform to the gateway",
        f.host(say4(g.me4, g.gateway4, {68, 67}, dhcp(1, 8, none4, g.me))));
  f.add("DHCP release for the victim",
        f.host(say4(g.victim4, g.gateway4, {68, 67}, dhcp(1, 7, none4, g.victim))));
  f.add("DHCP offer to all", f.all(say4(g.me4, all4, {67, 68}, dhcp(2, 2, g.nobody4, g.victim))));
  f.add("DHCP answer to the victim",
        f.victim(say4(g.me4, g.victim4, {67, 68}, dhcp(2, 5, g.nobody4, g.victim))));
  f.add("DHCP answer as the gateway",
        f.victim(say4(g.gateway4, g.victim4, {67, 68}, dhcp(2, 5, g.nobody4, g.victim))));
  const Ipv6 agents = ip6("ff02::1:2");
  const Mac agents_mac = {0x33, 0x33, 0, 1, 0, 2};
  f.add("DHCPv6 solicit", f.frame(agents_mac, say6(g.my_local6, agents, {546, 547}, {1, 0, 0, 1})));
  f.add("DHCPv6 solicit by its own address",
        f.frame(agents_mac, say6(g.me6, agents, {546, 547}, {1, 0, 0, 2})));
  f.add("DHCPv6 advertise to the victim",
        f.victim(say6(g.my_local6, g.victim_local6, {547, 546}, {2, 0, 0, 1})));
  f.add("DHCPv6 reply to the victim", f.victim(say6(g.me6, g.victim6, {547, 546}, {7, 0, 0, 1})));
  f.add("DHCPv6 reconfigure of the victim",
        f.victim(say6(g.my_local6, g.victim_local6, {547, 546}, {10, 0, 0, 1})));
  const Octets answer = Octets{0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0};
  const Mac mdns4 = {1, 0, 0x5e, 0, 0, 0xfb}, mdns6 = {0x33, 0x33, 0, 0, 0, 0xfb};
  f.add("mDNS answer", f.frame(mdns4, say4(g.me4, ip4("224.0.0.251"), {5353, 5353}, answer)));
  f.add("mDNS answer over IPv6",
        f.frame(mdns6, say6(g.my_local6, ip6("ff02::fb"), {5353, 5353}, answer)));
  f.add("LLMNR answer to the victim", f.victim(say4(g.me4, g.victim4, {5355, 5355}, answer)));
  f.add("LLMNR question to all",
        f.frame({1, 0, 0x5e, 0, 0, 0xfc}, say4(g.me4, ip4("224.0.0.252"), {5355, 5355}, answer)));
  f.add("NetBIOS name to all", f.all(say4(g.me4, g.broadcast4, {137, 137}, answer)));
  f.add("NetBIOS datagram as the victim", f.all(say4(g.victim4, g.broadcast4, {138, 138}, answer)));
  f.add("SSDP notice", f.frame({1, 0, 0x5e, 0x7f, 0xff, 0xfa},
                               say4(g.me4, ip4("239.255.255.250"), {1900, 1900}, answer)));
  f.add("SSDP notice over IPv6",
        f.frame({0x33, 0x33, 0, 0, 0, 0x0c}, say6(g.me6, ip6("ff02::c"), {1900, 1900}, answer)));
  f.add("name server's answer to the victim",
        f.victim(say4(g.service4, g.victim4, {53, 40000}, answer)));
  f.add("name server's answer over IPv6 to the victim",
        f.victim(say6(g.service6, g.victim6, {53, 40000}, answer)));
  f.add("NTP answer to all", f.all(say4(g.me4, all4, {123, 123}, answer)));
  f.add("RIP route to all",
        f.frame({1, 0, 0x5e, 0, 0, 9}, say4(g.me4, ip4("224.0.0.9"), {520, 520}, answer)));
  f.add("VRRP as the gateway",
        f.frame({1, 0, 0x5e, 0, 0, 18},
                f.other(g.me4, ip4("224.0.0.18"), 112, {0x31, 1, 255, 0}, {.ttl = 255})));
  f.add("OSPF hello", f.frame({1, 0, 0x5e, 0, 0, 5},
                              f.other(g.me4, ip4("224.0.0.5"), 89, {2, 1, 0, 44}, {.ttl = 1})));
  f.add("wake-up of the victim",
        f.link(kEverybody, 0x0842, raw(kEverybody) + raw(g.victim) + raw(g.victim)));
}

}  // namespace panal::bench
