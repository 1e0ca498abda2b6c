// Panal's bridges of groups: the attacker is alone in one group, victim and third are in another.
// All that it sends goes out of eth1, onto its own group's bridge.
#include <unistd.h>

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
constexpr const char* kMyGroup = "cell";
constexpr const char* kTheirGroup = "room";

netconfine::PolicySet two_groups() {
  netconfine::PolicySet set;
  for (const char* group : {kMyGroup, kTheirGroup}) {
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

}  // namespace

Result<Site> group_site() {
  const AddressPlan plan{kPanalSubnet4, kPanalSubnet6};
  Site site;
  site.link = netconfine::kGroupInsideName;
  site.leads_outside = false;
  PANAL_ASSIGN(site.host, new_network());
  PANAL_ASSIGN(site.outside, new_network());
  PANAL_ASSIGN(auto host, site.host.duplicate());
  PANAL_ASSIGN(site.network, netconfine::Network::open(std::move(host), plan, Logger::silent(),
                                                       netconfine::open_nftables_backend));
  PANAL_ASSIGN(
      const auto rules,
      netconfine::compile(two_groups(), {.uplink = "up0",
                                         .masquerade = false,
                                         .desktops = {},
                                         .uses = {{kMyGroup, kTenant}, {kTheirGroup, kTenant}},
                                         .bridges = true}));
  const auto theirs = netconfine::policy_id(rules, kTheirGroup, kTenant);
  PANAL_TRY(site.network->set_rules(
      rules, {{1, netconfine::policy_id(rules, kMyGroup, kTenant)}, {2, theirs}, {3, theirs}}));
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
  g.host = bridge_mac(netconfine::group_number(kMyGroup, kTenant));
  // The kernel starts a link's queues some time after it came up.
  constexpr useconds_t kQueuesStartUs = 200'000;
  ::usleep(kQueuesStartUs);
  return site;
}

}  // namespace panal::bench
