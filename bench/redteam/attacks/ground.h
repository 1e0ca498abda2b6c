#pragma once

#include "bench/redteam/attacks/packet.h"

namespace panal::bench {

/// Who is where: what an attacker who has looked around knows. In a site with a bridge frames for
/// the victim go to its own MAC; with routed links everything goes to the next hop's.
struct Ground {
  Mac me{}, victim{}, third{}, host{};  ///< host: the next hop
  Mac to_victim{}, to_third{};          ///< where packets for them are sent
  Ipv4 me4{}, victim4{}, third4{};
  Ipv6 me6{}, victim6{}, third6{};
  Ipv4 gateway4{}, host4{}, node4{};  ///< next hop, another address of the host, its uplink's
  Ipv6 gateway6{}, host6{}, node6{};
  Ipv4 service4{};  ///< outside; desktops may ask it by UDP and TCP, port 53
  Ipv6 service6{};
  Ipv4 nobody4{};  ///< in the desktops' prefix
  Ipv6 nobody6{};
  Ipv4 broadcast4{}, network4{};  ///< of the desktops' prefix
  Ipv6 network6{};
  Ipv6 my_local6{}, victim_local6{};  ///< link-local, as kernels make them from MACs
};

/// As kernels make it from a MAC (RFC 4291, appendix A).
[[nodiscard]] Ipv6 link_local(const Mac& mac);
/// Fills in what is the same everywhere (the service, and the host's addresses beside the
/// gateway's) and what follows from MACs.
void complete(Ground& ground);
/// Three desktops of Panal's, whose addresses are of 10.77.0.0/16 and fd77:70::/64.
[[nodiscard]] Ground panal_ground(const netconfine::Addresses& me,
                                  const netconfine::Addresses& victim,
                                  const netconfine::Addresses& third);
inline constexpr const char* kPanalSubnet4 = "10.77.0.0/16";
inline constexpr const char* kPanalSubnet6 = "fd77:70::/64";

}  // namespace panal::bench
