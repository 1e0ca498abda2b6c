// What is spoken on a wire besides IP and ARP. A bridge keeps some of it (IEEE 802.1D's group
// addresses), so each is also said to the victim's MAC, or to all, where a bridge passes it on.
#include "bench/redteam/attacks/attack.h"

namespace panal::bench {
namespace {

void add_tags(Forge& f) {
  const Ground& g = f.g;
  f.topic("VLAN tags");
  const auto tagged = [&](const Mac& to, std::uint32_t tag, const Packet& packet) {
    return ethernet(to, g.me, kTypeVlan,
                    be16(tag) + be16(packet.v6 ? kTypeIp6 : kTypeIp4) + packet.bytes);
  };
  const Packet to_victim = f.udp(g.me4, g.victim4);
  f.add("VLAN 5 to the victim", tagged(g.to_victim, 5, to_victim));
  f.add("VLAN 1 to the victim", tagged(g.to_victim, 1, f.udp(g.me4, g.victim4)));
  f.add("VLAN 4095 to the victim", tagged(g.to_victim, 4095, f.udp(g.me4, g.victim4)));
  f.add("VLAN 5 over IPv6 to the victim", tagged(g.to_victim, 5, f.udp(g.me6, g.victim6)));
  f.add("priority tag to the victim", tagged(g.to_victim, 0xe000, f.udp(g.me4, g.victim4)));
  f.add("priority tag over IPv6 to the victim",
        tagged(g.to_victim, 0xe000, f.udp(g.me6, g.victim6)));
  f.add("priority tag to the host", tagged(g.host, 0, f.udp(g.me4, g.host4)));
  f.add("priority tag over IPv6 to the host", tagged(g.host, 0, f.udp(g.me6, g.host6)));
  f.add("priority tag to the service, another's address",
        tagged(g.host, 0, f.udp(g.victim4, g.service4, {40000, 53})));
  f.add("priority tag over IPv6 to the service, another's address",
        tagged(g.host, 0, f.udp(g.victim6, g.service6, {40000, 53})));
  f.add("priority tag before ARP",
        f.link(kEverybody, kTypeVlan,
               be16(0) + be16(kTypeArp) + arp(2, g.me, g.victim4, kEverybody, g.victim4)));
  const auto twice = [&](std::uint16_t outer, const Packet& packet) {
    return ethernet(g.to_victim, g.me, outer,
                    be16(5) + be16(kTypeVlan) + be16(7) + be16(kTypeIp4) + packet.bytes);
  };
  f.add("802.1ad and 802.1Q", twice(0x88a8, f.udp(g.me4, g.victim4)));
  f.add("802.1Q twice", twice(kTypeVlan, f.udp(g.me4, g.victim4)));
  f.add("old QinQ (0x9100)", twice(0x9100, f.udp(g.me4, g.victim4)));
  f.add(
      "two priority tags to the host",
      ethernet(g.host, g.me, 0x88a8,
               be16(0) + be16(kTypeVlan) + be16(0) + be16(kTypeIp4) + f.udp(g.me4, g.host4).bytes));
}

}  // namespace

void add_link_protocols(Forge& f) {
  add_tags(f);
  const Ground& g = f.g;
  f.topic("link protocols");
  const Octets llc_stp =
      Octets{0x42, 0x42, 3, 0, 0, 0, 0, 0} + Octets(8, 0) + be32(0) + Octets(16, 1);
  const auto group = [](std::uint8_t last) { return Mac{1, 0x80, 0xc2, 0, 0, last}; };
  f.add("spanning tree", f.link(group(0), 38, llc_stp));
  f.add("spanning tree to all", f.link(kEverybody, 38, llc_stp));
  f.add("a provider's spanning tree", f.link(group(8), 38, llc_stp));
  f.add("PVST", f.link({1, 0, 0x0c, 0xcc, 0xcc, 0xcd}, 50,
                       Octets{0xaa, 0xaa, 3, 0, 0, 0x0c, 1, 0x0b} + llc_stp));
  f.add("CDP", f.link({1, 0, 0x0c, 0xcc, 0xcc, 0xcc}, 46,
                      Octets{0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0, 2, 180}));
  f.add("VTP", f.link({1, 0, 0x0c, 0xcc, 0xcc, 0xcc}, 46,
                      Octets{0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 3, 1, 1}));
  f.add("DTP", f.link({1, 0, 0x0c, 0xcc, 0xcc, 0xcc}, 46,
                      Octets{0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 4, 1, 0}));
  f.add("LLDP", f.link(group(0x0e), 0x88cc));
  f.add("LLDP to the victim", f.link(g.to_victim, 0x88cc));
  f.add("LLDP to all", f.link(kEverybody, 0x88cc));
  f.add("LACP", f.link(group(2), 0x8809, {1, 1}));
  f.add("LACP to the victim", f.link(g.to_victim, 0x8809, {1, 1}));
  f.add("OAM to all", f.link(kEverybody, 0x8809, {3, 0, 0x50}));
  f.add("pause", f.link(group(1), 0x8808, {0, 1, 0xff, 0xff}));
  f.add("pause to the victim", f.link(g.to_victim, 0x8808, {0, 1, 0xff, 0xff}));
  f.add("priority pause to the victim", f.link(g.to_victim, 0x8808, {1, 1, 0, 0xff}));
  f.add("EAPOL start", f.link(group(3), 0x888e, {2, 1, 0, 0}));
  f.add("EAPOL logoff to the victim", f.link(g.to_victim, 0x888e, {2, 2, 0, 0}));
  f.add("MVRP", f.link(group(0x21), 0x88f5, {0}));
  f.add("MACsec to the victim", f.link(g.to_victim, 0x88e5, {0x0c, 0, 0, 0, 0, 1}));
  f.add("MPLS to the victim",
        ethernet(g.to_victim, g.me, 0x8847, be32(0x00010140) + f.udp(g.me4, g.victim4).bytes));
  f.add("MPLS, explicit null, to the victim",
        ethernet(g.to_victim, g.me, 0x8847, be32(0x00000140) + f.udp(g.me4, g.victim4).bytes));
  f.add("PPPoE discovery to all", f.link(kEverybody, 0x8863, {0x11, 9, 0, 0, 0, 0}));
  f.add("PPPoE offer to the victim", f.link(g.to_victim, 0x8863, {0x11, 7, 0, 0, 0, 0}));
  f.add("PPPoE session to the victim",
        ethernet(g.to_victim, g.me, 0x8864,
                 Octets{0x11, 0, 0, 1, 0, 60, 0, 0x21} + f.udp(g.me4, g.victim4).bytes));
  f.add("PPPoE session over IPv6 to the victim",
        ethernet(g.to_victim, g.me, 0x8864,
                 Octets{0x11, 0, 0, 1, 0, 80, 0, 0x57} + f.udp(g.me6, g.victim6).bytes));
  f.add("IPX to all", f.link(kEverybody, 0x8137, {0xff, 0xff}));
  f.add("NetBEUI to all", f.link(kEverybody, 40, {0xf0, 0xf0, 3}));
  f.add("SNAP before IPv4 to the victim",
        ethernet(g.to_victim, g.me, 54,
                 Octets{0xaa, 0xaa, 3, 0, 0, 0, 8, 0} + f.udp(g.me4, g.victim4).bytes));
  f.add("AppleTalk ARP to all", f.link(kEverybody, 0x80f3, {0, 1}));
  f.add("ATA over Ethernet to all", f.link(kEverybody, 0x88a2, {0x10, 0}));
  f.add("FCoE to the victim", f.link(g.to_victim, 0x8906, Octets(14, 0)));
  f.add("RoCE to the victim", f.link(g.to_victim, 0x8915, Octets(40, 0)));
  f.add("PTP to the victim", f.link(g.to_victim, 0x88f7, {0, 2, 0, 44}));
  f.add("PROFINET to the victim", f.link(g.to_victim, 0x8892, {0xfe, 0xfc}));
  f.add("EtherCAT to all", f.link(kEverybody, 0x88a4, {0x0d, 0x10}));
  f.add("batman to all", f.link(kEverybody, 0x4305, {0, 15}));
  f.add("loopback test of the victim", f.link(g.to_victim, 0x9000, {0, 0, 2, 0}));
  f.add("an experiment (0x88b5) to the victim", f.link(g.to_victim, 0x88b5));
  f.add("transparent Ethernet bridging to the victim",
        ethernet(g.to_victim, g.me, 0x6558, f.victim(f.udp(g.me4, g.victim4))));
  f.add("a type nobody has to all", f.link(kEverybody, 0xfffe));
}

}  // namespace panal::bench
