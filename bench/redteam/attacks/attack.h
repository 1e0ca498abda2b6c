#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bench/redteam/attacks/ground.h"
#include "bench/redteam/attacks/packet.h"

namespace panal::bench {

/// What must not happen. All of it is looked for after every attack, but for kConnections.
enum Sign : unsigned {
  kVictimHears = 1U << 0U,   ///< a frame of the attack comes in at the victim
  kThirdHears = 1U << 1U,    ///< or at another desktop
  kOutsideHears = 1U << 2U,  ///< or leaves by the uplink
  kHostHears = 1U << 3U,     ///< or comes to a socket of the host
  kAnswer = 1U << 4U,        ///< somebody answers the attacker
  kNeighbours = 1U << 5U,    ///< somebody's neighbour table has changed
  kBridge = 1U << 6U,        ///< a bridge has learnt something
  kConnections = 1U << 7U,   ///< conntrack has more new entries than the attack's bound
};
inline constexpr unsigned kAnySign = 0xff;

struct Attack {
  std::string topic;
  std::string name;  ///< unique
  std::vector<Octets> frames;
  Octets mark;                       ///< in every frame whose content survives a hop
  unsigned long connections = ~0UL;  ///< of conntrack that this may add at most
};

/// Writes attacks down. What is made between two add() carries the mark of the next.
class Forge {
 public:
  explicit Forge(const Ground& ground) : g(ground) { next(); }

  const Ground& g;

  void topic(std::string name) { topic_ = std::move(name); }
  void add(const std::string& name, Octets frame) {
    add(name, std::vector<Octets>{std::move(frame)});
  }
  void add(const std::string& name, std::vector<Octets> frames, unsigned long connections = ~0UL);
  [[nodiscard]] std::vector<Attack> take() { return std::move(attacks_); }

  /// The mark itself: 8 bytes.
  [[nodiscard]] const Octets& mark() const { return mark_; }

  // Packets with the mark.
  template <typename Address>
  [[nodiscard]] Packet udp(const Address& from, const Address& to, const Ports& ports = {},
                           const Header& header = {}) const {
    return ip(from, to, kUdp, udp_segment(raw(from), raw(to), ports, mark_), header);
  }
  template <typename Address>
  [[nodiscard]] Packet tcp(const Address& from, const Address& to, std::uint8_t flags,
                           const Ports& ports = {}, const Header& header = {}) const {
    return ip(from, to, kTcp, tcp_segment(raw(from), raw(to), ports, flags, mark_), header);
  }
  [[nodiscard]] Packet icmp(const Ipv4& from, const Ipv4& to, std::uint8_t type,
                            std::uint8_t code = 0, const Octets& body = {0, 1, 0, 1},
                            const Header& header = {}) const {
    return ip(from, to, kIcmp, icmp_message(from, to, type, code, body + mark_), header);
  }
  [[nodiscard]] Packet icmp(const Ipv6& from, const Ipv6& to, std::uint8_t type,
                            std::uint8_t code = 0, const Octets& body = {0, 1, 0, 1},
                            const Header& header = {}) const {
    return ip(from, to, kIcmp6, icmp_message(from, to, type, code, body + mark_), header);
  }
  /// Neighbour discovery: hop limit 255, and the mark in an option that nobody knows.
  [[nodiscard]] Packet discovery(const Ipv6& from, const Ipv6& to, std::uint8_t type,
                                 const Octets& body, std::uint8_t hops = 255) const;
  [[nodiscard]] Packet other(const Ipv4& from, const Ipv4& to, std::uint8_t protocol,
                             const Octets& before = {}, const Header& header = {}) const {
    return ip(from, to, protocol, before + mark_, header);
  }
  [[nodiscard]] Packet other(const Ipv6& from, const Ipv6& to, std::uint8_t protocol,
                             const Octets& before = {}, const Header& header = {}) const {
    return ip(from, to, protocol, before + mark_, header);
  }

  // Frames from the attacker's own MAC.
  [[nodiscard]] Octets victim(const Packet& packet) const { return frame(g.to_victim, packet); }
  [[nodiscard]] Octets third(const Packet& packet) const { return frame(g.to_third, packet); }
  [[nodiscard]] Octets host(const Packet& packet) const { return frame(g.host, packet); }
  [[nodiscard]] Octets out(const Packet& packet) const { return frame(g.host, packet); }
  [[nodiscard]] Octets all(const Packet& packet) const;
  [[nodiscard]] Octets frame(const Mac& to, const Packet& packet) const {
    return frame(to, g.me, packet);
  }
  [[nodiscard]] Octets frame(const Mac& to, const Mac& from, const Packet& packet) const;
  /// Something else than IP, the mark behind it.
  [[nodiscard]] Octets link(const Mac& to, std::uint16_t type, const Octets& payload = {}) const;
  /// ARP, the mark where a short frame is padded.
  [[nodiscard]] Octets neighbour(const Mac& to, const Octets& message) const {
    return link(to, kTypeArp, message);
  }

 private:
  void next();

  std::string topic_;
  Octets mark_;
  unsigned number_ = 0;
  std::vector<Attack> attacks_;
};

inline constexpr Mac kEverybody = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
inline constexpr Mac kStranger = {0x02, 0xde, 0xad, 0xbe, 0xef, 0x01};
inline constexpr Mac kNoMac = {};
inline constexpr Mac kAllNodes = {0x33, 0x33, 0, 0, 0, 1};

// One for each topic or two; each file says what it is about.
void add_sources(Forge& forge);
void add_macs(Forge& forge);
void add_places(Forge& forge);
void add_arp(Forge& forge);
void add_discovery(Forge& forge);
void add_services(Forge& forge);
void add_link_protocols(Forge& forge);
void add_headers(Forge& forge);
void add_tunnels(Forge& forge);
void add_states(Forge& forge);
void add_errors(Forge& forge);
void add_malformed(Forge& forge);
void add_floods(Forge& forge);

/// All of them, in the order of topics.
[[nodiscard]] std::vector<Attack> all_attacks(const Ground& ground);

}  // namespace panal::bench
