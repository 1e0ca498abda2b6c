#include "bench/redteam/attacks/ground.h"

namespace panal::bench {

Ipv6 link_local(const Mac& mac) {
  return {
      0xfe,   0x80,   0,    0,    0,      0,      0,     0, static_cast<std::uint8_t>(mac[0] ^ 2U),
      mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
}

void complete(Ground& ground) {
  ground.my_local6 = link_local(ground.me);
  ground.victim_local6 = link_local(ground.victim);
  ground.host4 = ip4("10.99.0.1");
  ground.host6 = ip6("fd99::1");
  ground.node4 = ip4("192.0.2.1");
  ground.node6 = ip6("2001:db8:77::1");
  ground.service4 = ip4("10.1.0.53");
  ground.service6 = ip6("fd00:1::53");
}

Ground panal_ground(const netconfine::Addresses& me, const netconfine::Addresses& victim,
                    const netconfine::Addresses& third) {
  Ground g;
  g.me = me.mac;
  g.victim = victim.mac;
  g.third = third.mac;
  g.host = g.to_victim = g.to_third = me.gateway_mac;
  g.me4 = me.ipv4;
  g.victim4 = victim.ipv4;
  g.third4 = third.ipv4;
  g.me6 = me.ipv6;
  g.victim6 = victim.ipv6;
  g.third6 = third.ipv6;
  g.gateway4 = ip4("169.254.1.1");
  g.gateway6 = ip6("fe80::1");
  g.nobody4 = ip4("10.77.0.200");
  g.nobody6 = ip6("fd77:70::c8");
  g.network4 = ip4("10.77.0.0");
  g.broadcast4 = ip4("10.77.255.255");
  g.network6 = ip6("fd77:70::");
  complete(g);
  return g;
}

}  // namespace panal::bench
