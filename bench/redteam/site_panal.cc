// Panal's own: three desktops of one tenant. The attacker may ask the service; so may the others,
// who are in one group besides: everything that a desktop's policy can open is open next to it.
#include <fmt/format.h>

#include "bench/redteam/site.h"
#include "netconfine/firewall/backend.h"
#include "netconfine/policy/prefix.h"

namespace panal::bench {
namespace {

using netconfine::Addresses;
using netconfine::AddressPlan;
using netconfine::AddressPool;
using netconfine::compile;
using netconfine::NetPolicy;
using netconfine::Network;
using netconfine::open_nftables_backend;
using netconfine::OpenBackend;
using netconfine::parse_prefix;
using netconfine::PolicySet;
using netconfine::Protocol;
using netconfine::Service;
using netconfine::to_string;

Result<PolicySet> house_policies() {
  PolicySet set;
  Service dns;
  dns.name = "dns";
  for (const char* peer : {"10.1.0.53", "fd00:1::53"}) {
    PANAL_ASSIGN(const auto prefix, parse_prefix(peer));
    dns.peers.push_back(prefix);
  }
  dns.traffic = {{Protocol::kTcp, {53, 53}}, {Protocol::kUdp, {53, 53}}};
  set.services["dns"] = dns;
  NetPolicy alone, room;
  alone.name = "alone";
  room.name = "room";
  alone.reach = room.reach = {"dns"};
  room.group = "room";
  set.policies["alone"] = alone;
  set.policies["room"] = room;
  return set;
}

}  // namespace

Result<Site> panal_site(const OpenBackend& backend, bool masks) {
  const AddressPlan plan{kPanalSubnet4, kPanalSubnet6};
  Site site;
  site.masks = masks;
  PANAL_ASSIGN(site.host, new_network());
  PANAL_ASSIGN(site.outside, new_network());
  PANAL_ASSIGN(auto host, site.host.duplicate());
  PANAL_ASSIGN(site.network, Network::open(std::move(host), plan, Logger::silent(), backend));
  PANAL_TRY(add_outside(site));
  PANAL_ASSIGN(const auto pool, AddressPool::parse(plan.subnet4, plan.subnet6));
  std::array<Addresses, 3> all;
  for (std::size_t i = 0; i < site.desktops.size(); ++i) {
    const auto id = static_cast<DesktopId>(i + 1);
    PANAL_ASSIGN(all[i], pool.of(id));
    const Addresses& own = all[i];
    PANAL_ASSIGN(site.desktops[i], new_network());
    PANAL_TRY(site.network->attach(id, site.desktops[i]));
    site.macs[i] = own.mac;
    site.addresses4[i] = own.ipv4;
    site.addresses6[i] = own.ipv6;
  }
  site.ground = panal_ground(all[Site::kMe], all[Site::kVictim], all[Site::kThird]);

  PANAL_ASSIGN(const auto set, house_policies());
  PANAL_ASSIGN(const auto prefix4, parse_prefix(plan.subnet4));
  PANAL_ASSIGN(const auto prefix6, parse_prefix(plan.subnet6));
  PANAL_ASSIGN(const auto rules, compile(set, {.uplink = "up0",
                                               .masquerade = masks,
                                               .desktops = {prefix4, prefix6},
                                               .uses = {{"alone", "acme"}, {"room", "acme"}}}));
  const auto room = policy_id(rules, "room", "acme");
  PANAL_TRY(site.network->set_rules(
      rules, {{1, policy_id(rules, "alone", "acme")}, {2, room}, {3, room}}));
  return site;
}

Result<Site> bare_site() {
  PANAL_ASSIGN(auto site, panal_site(open_nftables_backend, false));
  PANAL_TRY(run_program_in(site.host, "nft", {"flush", "ruleset"}, ""));
  std::vector<std::pair<std::string, std::string>> open = {{"ipv4/conf/all/rp_filter", "0"},
                                                           {"ipv4/conf/all/arp_ignore", "0"}};
  for (const char* link : {"pnl1", "pnl2", "pnl3", "up0"}) {
    for (const char* name : {"rp_filter", "arp_ignore"})
      open.emplace_back(fmt::format("ipv4/conf/{}/{}", link, name), "0");
    open.emplace_back(fmt::format("ipv4/conf/{}/accept_source_route", link), "1");
  }
  PANAL_TRY(set_sysctls(site.host, open));
  // Links that ask for their neighbours; the kernel forgets even permanent ones over this.
  std::string lines;
  for (std::size_t i = 0; i < site.desktops.size(); ++i) {
    const std::string link = fmt::format("pnl{}", i + 1), mac = to_string(site.macs[i]);
    lines += fmt::format(
        "link set {0} arp on\nneigh replace {1} lladdr {3} dev {0}\n"
        "neigh replace {2} lladdr {3} dev {0}\n",
        link, to_string(site.addresses4[i]), to_string(site.addresses6[i]), mac);
  }
  PANAL_TRY(ip_commands(site.host, lines));
  return site;
}

}  // namespace panal::bench
