// Honest senders where they have no business: other desktops, the host's services, places outside
// that no policy opens, and frames that take another way than they should.
#include "bench/redteam/attacks/attack.h"

namespace panal::bench {
namespace {

void add_desktops(Forge& f) {
  const Ground& g = f.g;
  f.topic("other desktops");
  f.add("UDP to the victim", f.victim(f.udp(g.me4, g.victim4)));
  f.add("UDP over IPv6 to the victim", f.victim(f.udp(g.me6, g.victim6)));
  f.add("TCP SYN to the victim", f.victim(f.tcp(g.me4, g.victim4, kSyn)));
  f.add("TCP SYN over IPv6 to the victim", f.victim(f.tcp(g.me6, g.victim6, kSyn)));
  f.add("ping of the victim", f.victim(f.icmp(g.me4, g.victim4, 8)));
  f.add("ping over IPv6 of the victim", f.victim(f.icmp(g.me6, g.victim6, 128)));
  f.add("to the victim from port 53", f.victim(f.udp(g.me4, g.victim4, {53, 40000})));
  f.add("over IPv6 to the victim from port 53", f.victim(f.udp(g.me6, g.victim6, {53, 40000})));
  f.add("to the victim's port 53", f.victim(f.udp(g.me4, g.victim4, {40000, 53})));
  f.add("over IPv6 to the victim's port 53", f.victim(f.udp(g.me6, g.victim6, {40000, 53})));
  f.add("to the victim's link-local address", f.victim(f.udp(g.my_local6, g.victim_local6)));
  // Over the next hop where the victim could be reached straight, and the other way round.
  f.add("to the victim by way of the host", f.host(f.udp(g.me4, g.victim4)));
  f.add("over IPv6 to the victim by way of the host", f.host(f.udp(g.me6, g.victim6)));
  f.add("straight to the victim's MAC", f.frame(g.victim, f.udp(g.me4, g.victim4)));
  f.add("over IPv6 straight to the victim's MAC", f.frame(g.victim, f.udp(g.me6, g.victim6)));
  f.add("to the victim in a frame for all", f.frame(kEverybody, f.udp(g.me4, g.victim4)));
  f.add("over IPv6 to the victim in a frame for all", f.all(f.udp(g.me6, g.victim6)));
  f.add("to the victim by a MAC nobody has", f.frame(kStranger, f.udp(g.me4, g.victim4)));
  f.add("over IPv6 to the victim by a MAC nobody has", f.frame(kStranger, f.udp(g.me6, g.victim6)));
  f.add("to the victim in a multicast frame",
        f.frame({1, 0, 0x5e, 0, 0, 1}, f.udp(g.me4, g.victim4)));
}

void add_to_all(Forge& f) {
  const Ground& g = f.g;
  f.topic("frames to all");
  f.add("to 255.255.255.255", f.all(f.udp(g.me4, ip4("255.255.255.255"))));
  f.add("to the prefix's broadcast", f.all(f.udp(g.me4, g.broadcast4)));
  f.add("ping of the prefix's broadcast", f.all(f.icmp(g.me4, g.broadcast4, 8)));
  f.add("to all hosts", f.frame({1, 0, 0x5e, 0, 0, 1}, f.udp(g.me4, ip4("224.0.0.1"))));
  f.add("to a group of the organisation",
        f.frame({1, 0, 0x5e, 0x7f, 0xff, 0xfa}, f.udp(g.me4, ip4("239.255.255.250"))));
  f.add("to all nodes", f.all(f.udp(g.me6, ip6("ff02::1"))));
  f.add("to all nodes as link-local", f.all(f.udp(g.my_local6, ip6("ff02::1"))));
  f.add("ping of all nodes", f.all(f.icmp(g.me6, ip6("ff02::1"), 128)));
  f.add("to all routers", f.frame({0x33, 0x33, 0, 0, 0, 2}, f.udp(g.me6, ip6("ff02::2"))));
  f.add("to all nodes of the interface", f.all(f.udp(g.me6, ip6("ff01::1"))));
}

void add_host(Forge& f) {
  const Ground& g = f.g;
  f.topic("the host");
  f.add("UDP to the host", f.host(f.udp(g.me4, g.host4)));
  f.add("UDP over IPv6 to the host", f.host(f.udp(g.me6, g.host6)));
  f.add("TCP SYN to the host", f.host(f.tcp(g.me4, g.host4, kSyn, {40000, 22})));
  f.add("TCP SYN over IPv6 to the host", f.host(f.tcp(g.me6, g.host6, kSyn, {40000, 22})));
  f.add("ping of the host", f.host(f.icmp(g.me4, g.host4, 8)));
  f.add("ping over IPv6 of the host", f.host(f.icmp(g.me6, g.host6, 128)));
  f.add("to the gateway's address", f.host(f.udp(g.me4, g.gateway4)));
  f.add("over IPv6 to the gateway's address", f.host(f.udp(g.me6, g.gateway6)));
  f.add("ping of the gateway", f.host(f.icmp(g.me4, g.gateway4, 8)));
  f.add("ping over IPv6 of the gateway", f.host(f.icmp(g.me6, g.gateway6, 128)));
  f.add("to the host's uplink address", f.host(f.udp(g.me4, g.node4)));
  f.add("over IPv6 to the host's uplink address", f.host(f.udp(g.me6, g.node6)));
  f.add("TCP SYN to the host's uplink address", f.host(f.tcp(g.me4, g.node4, kSyn)));
  f.add("to the host's port 53", f.host(f.udp(g.me4, g.host4, {40000, 53})));
  f.add("to the host from port 53", f.host(f.udp(g.me4, g.host4, {53, 40000})));
  f.add("to the host's port 67", f.host(f.udp(g.me4, g.host4, {68, 67})));
  f.add("to the host's loopback", f.host(f.udp(g.me4, ip4("127.0.0.1"))));
  f.add("over IPv6 to the host's loopback", f.host(f.udp(g.me6, ip6("::1"))));
  f.add("to the host in a frame for all", f.all(f.udp(g.me4, g.host4)));
  f.add("to the host as link-local", f.host(f.udp(g.my_local6, g.host6)));
  f.add("to the prefix's routers", f.host(f.udp(g.me6, g.network6)));
}

void add_outside(Forge& f) {
  const Ground& g = f.g;
  f.topic("places outside");
  f.add("another port of the service", f.out(f.udp(g.me4, g.service4, {40000, 54})));
  f.add("over IPv6 another port of the service", f.out(f.udp(g.me6, g.service6, {40000, 54})));
  f.add("the service from port 53", f.out(f.udp(g.me4, g.service4, {53, 54})));
  f.add("TCP to another port of the service", f.out(f.tcp(g.me4, g.service4, kSyn, {40000, 80})));
  f.add("ping of the service", f.out(f.icmp(g.me4, g.service4, 8)));
  f.add("ping over IPv6 of the service", f.out(f.icmp(g.me6, g.service6, 128)));
  f.add("the service's neighbour", f.out(f.udp(g.me4, ip4("10.1.0.54"), {40000, 53})));
  f.add("over IPv6 the service's neighbour", f.out(f.udp(g.me6, ip6("fd00:1::54"), {40000, 53})));
  f.add("the internet", f.out(f.udp(g.me4, ip4("8.8.8.8"), {40000, 53})));
  f.add("the internet over IPv6", f.out(f.udp(g.me6, ip6("2001:4860:4860::8888"), {40000, 53})));
  f.add("a private network", f.out(f.tcp(g.me4, ip4("192.168.1.1"), kSyn, {40000, 443})));
  f.add("the router outside", f.out(f.udp(g.me4, ip4("192.0.2.254"), {40000, 53})));
  f.add("the router outside over IPv6", f.out(f.udp(g.me6, ip6("2001:db8:77::fe"), {40000, 53})));
  f.add("a cloud's secrets", f.out(f.tcp(g.me4, ip4("169.254.169.254"), kSyn, {40000, 80})));
  f.add("nobody's desktop", f.out(f.udp(g.me4, g.nobody4)));
  f.add("over IPv6 nobody's desktop", f.out(f.udp(g.me6, g.nobody6)));
  f.add("the service as an IPv4-mapped address",
        f.out(f.udp(g.me6, ip6("::ffff:10.1.0.53"), {40000, 53})));
  f.add("the service by a translator", f.out(f.udp(g.me6, ip6("64:ff9b::a01:35"), {40000, 53})));
  f.add("the service by 6to4", f.out(f.udp(g.me6, ip6("2002:a01:35::1"), {40000, 53})));
  f.add("the service in a frame for all", f.all(f.udp(g.me4, g.service4, {40000, 5353})));
}

}  // namespace

void add_places(Forge& f) {
  add_desktops(f);
  add_to_all(f);
  add_host(f);
  add_outside(f);
}

}  // namespace panal::bench
