// Panal's bridges of groups: the attacker is alone in one group, victim and third are in another;
// or the victim is its mate, and the third in the other. All that it sends goes out of eth1, onto
// its own group's bridge.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <map>

#include "bench/redteam/site.h"
#include "netconfine/bridge/group_end.h"
#include "netconfine/bridge/shard.h"
#include "netconfine/firewall/backend.h"
#include "netconfine/policy/group_number.h"
#include "netconfine/policy/prefix.h"

namespace panal::bench {
namespace {

using netconfine::Addresses;
using netconfine::AddressPlan;
using netconfine::AddressPool;

constexpr const char* kTenant = "acme";
constexpr const char* kCell = "cell";
constexpr const char* kRoom = "room";

netconfine::PolicySet two_groups() {
  netconfine::PolicySet set;
  for (const char* group : {kCell, kRoom}) {
    netconfine::NetPolicy policy;
    policy.name = policy.group = group;
    set.policies[group] = policy;
    set.groups[group] = {group, true};
  }
  return set;
}

/// The hub's, by its group (netconfine/bridge): the only next hop there could be.
Mac bridge_mac(std::uint32_t group) {
  return {0x0a,
          0,
          static_cast<std::uint8_t>(group >> 24U),
          static_cast<std::uint8_t>(group >> 16U),
          static_cast<std::uint8_t>(group >> 8U),
          static_cast<std::uint8_t>(group)};
}

std::uint32_t be16_at(const Octets& bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes[at] << 8U | bytes[at + 1]);
}

template <typename Bytes>
bool has_at(const Octets& bytes, std::size_t at, const Bytes& wanted) {
  return bytes.size() >= at + wanted.size() &&
         std::equal(wanted.begin(), wanted.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

bool is_one_of(unsigned value, std::initializer_list<unsigned> all) {
  return std::find(all.begin(), all.end(), value) != all.end();
}

/// Of a packet from its transport's header on: not what routers and servers say. Errors are none
/// of a mate's either: all attacks' are about others' packets.
bool is_plain_transport(const Octets& packet, std::size_t at, std::uint8_t protocol, bool v6) {
  if (protocol == 255 || packet.size() < at + 4) return false;
  const unsigned type = packet[at];
  if (v6 && protocol == kIcmp6)
    return type >= 128 && (type < 130 || (type > 138 && type < 141) || type > 153);
  if (!v6 && protocol == kIcmp) return !is_one_of(type, {3, 4, 5, 9, 10, 11, 12});
  if (protocol != kUdp) return true;
  return be16_at(packet, at) != (v6 ? 547U : 67U) && be16_at(packet, at + 2) != (v6 ? 546U : 68U);
}

bool is_plain4(const Octets& packet, const Ground& g) {
  constexpr std::size_t kHeader = 20, kLengthAt = 2, kFragmentAt = 6, kProtocolAt = 9, kFromAt = 12;
  if (packet.size() < kHeader || packet[0] != 0x45) return false;
  if (be16_at(packet, kLengthAt) < kHeader || be16_at(packet, kLengthAt) > packet.size())
    return false;
  return (be16_at(packet, kFragmentAt) & 0x3fffU) == 0 && has_at(packet, kFromAt, g.me4) &&
         is_plain_transport(packet, kHeader, packet[kProtocolAt], false);
}

bool is_plain6(const Octets& packet, const Ground& g) {
  constexpr std::size_t kHeader = 40, kLengthAt = 4, kNextAt = 6, kFromAt = 8;
  if (packet.size() < kHeader || packet[0] >> 4U != 6) return false;
  if (kHeader + be16_at(packet, kLengthAt) > packet.size()) return false;
  return !is_one_of(packet[kNextAt], {0, 43, 44, 51, 60, 135, 139, 140, 253, 254}) &&
         has_at(packet, kFromAt, g.me6) &&
         is_plain_transport(packet, kHeader, packet[kNextAt], true);
}

/// Says who it is, and asks or answers as that.
bool is_plain_arp(const Octets& message, const Ground& g) {
  constexpr std::size_t kOperationAt = 6, kMacAt = 8, kAddressAt = 14;
  return has_at(message, 0, Octets{0, 1, 8, 0, 6, 4}) && has_at(message, kMacAt, g.me) &&
         has_at(message, kAddressAt, g.me4) && is_one_of(be16_at(message, kOperationAt), {1, 2});
}

/// What a mate of the attacker's has to put up with: frames to itself or to all in the attacker's
/// own name, whole, and by nothing that is a router's or a server's to say. Written without a look
/// at the rules, which are to come to the same.
unsigned honest_signs(const Octets& frame, const Ground& g) {
  constexpr std::size_t kHeader = 14, kFromAt = 6, kTypeAt = 12;
  if (frame.size() < kHeader || !has_at(frame, kFromAt, g.me)) return 0;
  if ((frame[0] & 1U) == 0 && !has_at(frame, 0, g.victim)) return 0;
  const Octets inside(frame.begin() + kHeader, frame.end());
  switch (be16_at(frame, kTypeAt)) {
    case kTypeArp: return is_plain_arp(inside, g) ? kVictimHears | kAnswer | kNeighbours : 0U;
    case kTypeIp4: return is_plain4(inside, g) ? kVictimHears | kAnswer : 0U;
    case kTypeIp6: return is_plain6(inside, g) ? kVictimHears | kAnswer : 0U;
    default: return 0;
  }
}

/// Each desktop with the policy of its group, by eth1.
Result<Site> bridged_site(const std::array<const char*, 3>& groups) {
  const AddressPlan plan{kPanalSubnet4, kPanalSubnet6};
  Site site;
  site.link = netconfine::kGroupInsideName;
  site.leads_outside = false;
  PANAL_ASSIGN(site.host, new_network());
  PANAL_ASSIGN(site.outside, new_network());
  PANAL_ASSIGN(auto host, site.host.duplicate());
  PANAL_ASSIGN(site.network, netconfine::Network::open(std::move(host), plan, Logger::silent(),
                                                       netconfine::open_nftables_backend));
  PANAL_ASSIGN(const auto rules,
               netconfine::compile(two_groups(), {.uplink = "up0",
                                                  .masquerade = false,
                                                  .desktops = {},
                                                  .uses = {{kCell, kTenant}, {kRoom, kTenant}},
                                                  .bridges = true}));
  std::map<DesktopId, std::uint32_t> policies;
  for (std::size_t i = 0; i < groups.size(); ++i)
    policies[static_cast<DesktopId>(i + 1)] = netconfine::policy_id(rules, groups[i], kTenant);
  PANAL_TRY(site.network->set_rules(rules, policies));
  PANAL_ASSIGN(const auto pool, AddressPool::parse(plan.subnet4, plan.subnet6));
  std::array<Addresses, 3> all;
  for (std::size_t i = 0; i < site.desktops.size(); ++i) {
    const auto id = static_cast<DesktopId>(i + 1);
    PANAL_ASSIGN(all[i], pool.of(id));
    PANAL_ASSIGN(site.desktops[i], new_network());
    PANAL_TRY(site.network->attach(id, site.desktops[i]));
    site.macs[i] = all[i].mac;
    site.addresses4[i] = all[i].ipv4;
    site.addresses6[i] = all[i].ipv6;
  }
  PANAL_TRY(add_outside(site));
  Ground& g = site.ground;
  g = panal_ground(all[Site::kMe], all[Site::kVictim], all[Site::kThird]);
  g.to_victim = g.victim;
  g.to_third = g.third;
  g.host = bridge_mac(netconfine::group_number(groups[Site::kMe], kTenant));
  // The kernel starts a link's queues some time after it came up.
  constexpr useconds_t kQueuesStartUs = 200'000;
  ::usleep(kQueuesStartUs);
  return site;
}

}  // namespace

Result<Site> group_site() { return bridged_site({kCell, kRoom, kRoom}); }

Result<Site> mate_site() {
  PANAL_ASSIGN(auto site, bridged_site({kRoom, kRoom, kCell}));
  site.third_reaches4 = site.third_reaches6 = false;
  site.mates = true;
  site.by_design = [g = site.ground](const Attack& attack) {
    unsigned signs = kAnySign;
    for (const Octets& frame : attack.frames) signs &= honest_signs(frame, g);
    return attack.frames.empty() ? 0U : signs;
  };
  return site;
}

}  // namespace panal::bench
