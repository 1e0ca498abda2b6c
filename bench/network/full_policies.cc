#include "bench/network/full_policies.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string>

#include "bench/network/place.h"
#include "netconfine/policy/prefix.h"

namespace panal::bench {
namespace {

using netconfine::NetPolicy;
using netconfine::PolicySet;
using netconfine::Prefix;
using netconfine::Protocol;
using netconfine::Service;

constexpr unsigned kPolicies = 20;
constexpr unsigned kSites = 30;
constexpr unsigned kSitesEach = 15;
constexpr const char* kTenant = "acme";

/// Of texts that are written here.
std::vector<Prefix> prefixes_of(const std::vector<std::string>& texts) {
  std::vector<Prefix> all;
  for (const auto& text : texts) {
    auto prefix = netconfine::parse_prefix(text);
    if (!prefix) throw std::invalid_argument(text);
    all.push_back(*prefix);
  }
  return all;
}

Service service_of(std::string name, const std::vector<std::string>& peers, std::uint16_t first,
                   std::uint16_t last, const std::vector<std::string>& except = {}) {
  Service out;
  out.name = std::move(name);
  out.peers = prefixes_of(peers);
  out.except = prefixes_of(except);
  out.traffic = {{Protocol::kTcp, {first, last}}, {Protocol::kUdp, {first, last}}};
  return out;
}

std::string room(std::size_t number) { return fmt::format("room{}", number % kPolicies); }
std::string site(unsigned number) { return fmt::format("site{}", number % kSites); }

std::uint32_t policy_of(const netconfine::Ruleset& rules, std::size_t number) {
  return netconfine::policy_id(rules, room(number), kTenant);
}

}  // namespace

PolicySet full_policies(bool other) {
  PolicySet set;
  const auto add = [&](Service one) { set.services[one.name] = std::move(one); };
  add(service_of("dns", {"10.1.0.53", "fd00:1::53"}, kDnsPort, kDnsPort));
  add(service_of("files", {"10.2.0.0/16", "fd00:2::/32"}, kFilesPort, kFilesPort));
  add(service_of("printers", {"10.4.0.0/16", "fd00:4::/32"}, 631, 631));
  add(service_of("admins", {"10.9.0.0/16", "fd00:9::/32"}, 22, 22));
  Service internet = service_of("internet", {"0.0.0.0/0", "::/0"}, 443, 443);
  internet.except = netconfine::not_internet();
  add(std::move(internet));
  for (unsigned i = 0; i < kSites; ++i)
    add(service_of(site(i),
                   {fmt::format("10.3.{}.0/24", i), fmt::format("fd00:3:{:x}::/48", i + 1)}, 8000,
                   8080, {fmt::format("10.3.{}.1", i)}));
  for (unsigned i = 0; i < kPolicies; ++i) {
    NetPolicy policy;
    policy.name = room(i);
    policy.reach = {"dns", "files", "internet"};
    for (unsigned k = 0; k < kSitesEach; ++k)
      if (!other || i % 2 == 0 || k > 0) policy.reach.push_back(site(i + k));
    if (other) policy.reach.emplace_back("printers");
    policy.reached_by = {"admins"};
    policy.group = room(i);
    policy.limits.connections = other && i % 3 == 0 ? 2047 : 2048;
    policy.limits.new_connections_per_second = 5000;
    set.policies[policy.name] = std::move(policy);
  }
  return set;
}

Result<netconfine::Ruleset> full_rules(bool other) {
  netconfine::Surroundings around;
  around.uplink = kUplink;
  around.masquerade = true;
  around.desktops = prefixes_of({kSubnet4, kSubnet6});
  for (unsigned i = 0; i < kPolicies; ++i) around.uses.emplace(room(i), kTenant);
  return netconfine::compile(full_policies(other), around);
}

std::map<DesktopId, std::uint32_t> full_holders(const netconfine::Ruleset& rules,
                                                std::size_t desktops, bool others_move) {
  std::map<DesktopId, std::uint32_t> holders;
  for (std::size_t id = 1; id <= desktops; ++id) {
    const bool talks = id == 1 || id == desktops;
    const std::size_t number = talks ? desktops : id + (others_move ? 1 : 0);
    holders[static_cast<DesktopId>(id)] = policy_of(rules, number);
  }
  return holders;
}

Result<std::vector<netconfine::Sender>> full_senders(const netconfine::Ruleset& rules,
                                                     std::size_t desktops, std::size_t more) {
  auto holders = full_holders(rules, desktops);
  for (std::size_t id = desktops + 1; id <= desktops + more; ++id)
    holders[static_cast<DesktopId>(id)] = policy_of(rules, id);
  PANAL_ASSIGN(auto addresses, addresses_of(1, static_cast<DesktopId>(desktops + more)));
  std::vector<netconfine::Sender> senders;
  for (auto& one : addresses) {
    const DesktopId id = netconfine::id_of_link(one.link);
    senders.push_back({std::move(one), holders[id]});
  }
  return senders;
}

}  // namespace panal::bench
