// Who has which MAC: ARP (RFC 826, 903, 2390, 5227) and neighbour discovery (RFC 4861).
#include "bench/redteam/attacks/attack.h"

namespace panal::bench {

void add_arp(Forge& f) {
  const Ground& g = f.g;
  f.topic("ARP");
  const Ipv4 none{};
  const auto ask = [&](const Mac& mac, const Ipv4& sender, const Ipv4& target) {
    return f.neighbour(kEverybody, arp(1, mac, sender, kNoMac, target));
  };
  f.add("who has the victim", ask(g.me, g.me4, g.victim4));
  f.add("who has the gateway", ask(g.me, g.me4, g.gateway4));
  f.add("who has the host", ask(g.me, g.me4, g.host4));
  f.add("who has the host's uplink address", ask(g.me, g.me4, g.node4));
  f.add("who has nobody's address", ask(g.me, g.me4, g.nobody4));
  f.add("who has the service (proxy)", ask(g.me, g.me4, g.service4));
  f.add("probe for the victim's address", ask(g.me, none, g.victim4));
  f.add("probe for the host's address", ask(g.me, none, g.host4));
  f.add("announcement of its own address", ask(g.me, g.me4, g.me4));
  f.add("announcement of the victim's address", ask(g.me, g.victim4, g.victim4));
  f.add("announcement of the gateway's address", ask(g.me, g.gateway4, g.gateway4));
  f.add("announcement of nobody's address", ask(g.me, g.nobody4, g.nobody4));
  f.add("request as the gateway", ask(g.me, g.gateway4, g.victim4));
  f.add("request as the victim", ask(g.me, g.victim4, g.host4));
  f.add("request as multicast", ask(g.me, ip4("224.0.0.1"), g.host4));
  f.add("request as broadcast", ask(g.me, ip4("255.255.255.255"), g.host4));
  f.add("request with a stranger's MAC inside", ask(kStranger, g.me4, g.host4));
  f.add("request with everybody's MAC inside", ask(kEverybody, g.me4, g.host4));
  f.add("reply to the victim as the gateway",
        f.neighbour(g.to_victim, arp(2, g.me, g.gateway4, g.victim, g.victim4)));
  f.add("reply to the host as the victim",
        f.neighbour(g.host, arp(2, g.me, g.victim4, g.host, g.gateway4)));
  f.add("reply to the host with a stranger's MAC",
        f.neighbour(g.host, arp(2, kStranger, g.me4, g.host, g.gateway4)));
  f.add("reply to all as the victim",
        f.neighbour(kEverybody, arp(2, g.me, g.victim4, kEverybody, g.victim4)));
  f.add("reply to the victim, straight",
        f.neighbour(g.victim, arp(2, g.me, g.third4, g.victim, g.victim4)));
  f.add("request to the host alone as the victim",
        f.neighbour(g.host, arp(1, g.me, g.victim4, kNoMac, g.host4)));
  f.add("request in a frame of the victim's",
        ethernet(kEverybody, g.victim, kTypeArp,
                 arp(1, g.victim, g.victim4, kNoMac, g.host4) + Octets(10, 0) + f.mark()));
  f.add("RARP", f.link(kEverybody, 0x8035, arp(3, g.me, none, g.me, none)));
  f.add("inverse ARP", f.neighbour(g.to_victim, arp(8, g.me, g.me4, g.victim, none)));
  Octets other = arp(2, g.me, g.victim4, g.host, g.gateway4);
  other[1] = 6;  // IEEE 802 networks
  f.add("reply of another hardware", f.neighbour(g.host, other));
  f.add("reply as the victim, hundreds of bytes long",
        f.neighbour(g.host, arp(2, g.me, g.victim4, g.host, g.gateway4) + Octets(400, 1)));
}

void add_discovery(Forge& f) {
  const Ground& g = f.g;
  f.topic("neighbour discovery");
  const Ipv6 none{}, nodes = ip6("ff02::1"), routers = ip6("ff02::2");
  const Octets my_mac = Octets{1, 1} + raw(g.me);     // source link-layer address
  const Octets at_my_mac = Octets{2, 1} + raw(g.me);  // target link-layer address
  const Octets at_stranger = Octets{2, 1} + raw(kStranger);
  const Octets zero(4, 0), override{0x20, 0, 0, 0}, router_answers{0xe0, 0, 0, 0};
  const Octets prefix =
      Octets{3, 4, 64, 0xc0} + be32(65535) + be32(65535) + be32(0) + raw(ip6("fd66::"));
  const Octets life = Octets{64, 0} + be16(1800) + be32(0) + be32(0);
  const Octets servers = Octets{25, 3} + be16(0) + be32(1800) + raw(g.me6);
  const auto solicits = [&](const Ipv6& target) { return zero + raw(target) + my_mac; };
  const auto is_at = [&](const Octets& flags, const Ipv6& target, const Octets& where) {
    return flags + raw(target) + where;
  };
  f.add("solicitation for the victim", f.all(f.discovery(g.me6, nodes, 135, solicits(g.victim6))));
  f.add("solicitation for the victim, to it",
        f.victim(f.discovery(g.me6, g.victim6, 135, solicits(g.victim6))));
  f.add("solicitation for the host", f.host(f.discovery(g.me6, g.host6, 135, solicits(g.host6))));
  f.add("solicitation for the gateway",
        f.host(f.discovery(g.me6, g.gateway6, 135, solicits(g.gateway6))));
  f.add("solicitation as link-local",
        f.host(f.discovery(g.my_local6, g.gateway6, 135, solicits(g.gateway6))));
  f.add("solicitation as the victim",
        f.host(f.discovery(g.victim6, g.gateway6, 135, solicits(g.gateway6))));
  f.add("probe for the victim's address (denies it)",
        f.all(f.discovery(none, nodes, 135, zero + raw(g.victim6))));
  f.add("advertisement of the victim's address to the host",
        f.host(f.discovery(g.me6, g.gateway6, 136, is_at(override, g.victim6, at_my_mac))));
  f.add("advertisement of the victim's address to all",
        f.all(f.discovery(g.victim6, nodes, 136, is_at(override, g.victim6, at_my_mac))));
  f.add("advertisement of the gateway's address to the victim",
        f.victim(
            f.discovery(g.gateway6, g.victim6, 136, is_at(router_answers, g.gateway6, at_my_mac))));
  f.add("advertisement of the gateway's address to all",
        f.all(f.discovery(g.gateway6, nodes, 136, is_at(router_answers, g.gateway6, at_my_mac))));
  f.add("advertisement of nobody's address",
        f.host(f.discovery(g.nobody6, g.gateway6, 136, is_at(override, g.nobody6, at_my_mac))));
  f.add("advertisement of its own address at a stranger's MAC",
        f.host(f.discovery(g.me6, g.gateway6, 136, is_at(override, g.me6, at_stranger))));
  f.add("advertisement with a hop limit of 64",
        f.all(f.discovery(g.victim6, nodes, 136, is_at(override, g.victim6, at_my_mac), 64)));
  f.topic("routers");
  f.add("router solicitation", f.all(f.discovery(g.my_local6, routers, 133, zero + my_mac)));
  f.add("router solicitation without an address", f.all(f.discovery(none, routers, 133, zero)));
  f.add("router advertisement",
        f.all(f.discovery(g.my_local6, nodes, 134, life + prefix + my_mac)));
  f.add("router advertisement by its own address",
        f.all(f.discovery(g.me6, nodes, 134, life + prefix)));
  f.add("router advertisement as the gateway",
        f.all(f.discovery(g.gateway6, nodes, 134, life + prefix + my_mac)));
  f.add("router advertisement to the victim alone",
        f.victim(f.discovery(g.my_local6, g.victim_local6, 134, life + prefix)));
  f.add("router advertisement that ends the gateway",
        f.all(f.discovery(g.gateway6, nodes, 134, Octets{64, 0, 0, 0} + be32(0) + be32(0))));
  f.add("router advertisement with name servers",
        f.all(f.discovery(g.my_local6, nodes, 134, life + servers)));
  f.add("router advertisement with an MTU of 1280",
        f.all(f.discovery(g.gateway6, nodes, 134, life + Octets{5, 1, 0, 0} + be32(1280))));
  f.add("router advertisement behind a hop-by-hop header",
        f.all(ip(g.my_local6, nodes, 0,
                 Octets{58, 0, 1, 4, 0, 0, 0, 0} +
                     icmp_message(g.my_local6, nodes, 134, 0, life + prefix + f.mark()),
                 {.ttl = 255})));
  f.add("router advertisement in fragments",
        f.all(ip(g.my_local6, nodes, 44,
                 Octets{58, 0, 0, 1, 0, 0, 0, 7} +
                     icmp_message(g.my_local6, nodes, 134, 0, life + prefix + f.mark()),
                 {.ttl = 255})));
  f.add("redirect as the gateway",
        f.victim(f.discovery(g.gateway6, g.victim6, 137, zero + raw(g.me6) + raw(g.service6))));
  f.add("redirect to the host",
        f.host(f.discovery(g.me6, g.host6, 137, zero + raw(g.me6) + raw(g.victim6))));
}

}  // namespace panal::bench
