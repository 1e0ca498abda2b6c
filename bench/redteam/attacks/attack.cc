#include "bench/redteam/attacks/attack.h"

namespace panal::bench {

void Forge::next() {
  ++number_;
  mark_ = Octets{'P', 'n', 'L', 0x9d} + be32(number_ * 0x9e3779b1U);
}

void Forge::add(const std::string& name, std::vector<Octets> frames, unsigned long connections) {
  attacks_.push_back({topic_, name, std::move(frames), mark_, connections});
  next();
}

Packet Forge::discovery(const Ipv6& from, const Ipv6& to, std::uint8_t type, const Octets& body,
                        std::uint8_t hops) const {
  const Octets option = Octets{253, 2} + mark_ + Octets(6, 0);
  return ip(from, to, kIcmp6, icmp_message(from, to, type, 0, body + option), {.ttl = hops});
}

Octets Forge::all(const Packet& packet) const {
  return frame(packet.v6 ? kAllNodes : kEverybody, packet);
}

Octets Forge::frame(const Mac& to, const Mac& from, const Packet& packet) const {
  return ethernet(to, from, packet.v6 ? kTypeIp6 : kTypeIp4, packet.bytes);
}

Octets Forge::link(const Mac& to, std::uint16_t type, const Octets& payload) const {
  Octets whole = ethernet(to, g.me, type, payload + mark_);
  constexpr std::size_t kShortest = 60;  // IEEE 802.3, less the checksum
  if (whole.size() < kShortest) whole.resize(kShortest, 0);
  return whole;
}

std::vector<Attack> all_attacks(const Ground& ground) {
  Forge forge(ground);
  for (const auto add :
       {add_sources, add_macs, add_places, add_arp, add_discovery, add_services, add_link_protocols,
        add_headers, add_tunnels, add_states, add_errors, add_malformed, add_floods})
    add(forge);
  return forge.take();
}

}  // namespace panal::bench
