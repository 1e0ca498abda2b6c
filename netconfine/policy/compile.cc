#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "netconfine/policy/compiled.h"
#include "netconfine/policy/group_number.h"
#include "netconfine/policy/prefix.h"

namespace panal::netconfine {
namespace {

constexpr std::size_t kMostPolicies = 65'535;  // ids go through 16-bit marks
constexpr std::size_t kMostLines = 100'000;

/// Ranges of one protocol that touch become one; "any" swallows all.
std::vector<Traffic> merged_traffic(std::vector<Traffic> traffic) {
  std::sort(traffic.begin(), traffic.end());
  if (traffic.empty() || traffic.front().protocol == Protocol::kAny) return {Traffic()};
  std::vector<Traffic> out;
  for (const Traffic& one : traffic) {
    if (!out.empty() && out.back().protocol == one.protocol &&
        std::uint32_t{one.ports.first} <= std::uint32_t{out.back().ports.last} + 1)
      out.back().ports.last = std::max(out.back().ports.last, one.ports.last);
    else
      out.push_back(one);
  }
  return out;
}

Result<std::vector<Allow>> lines_of(const Service& service, const std::vector<Prefix>& desktops) {
  const auto never = never_reached();
  for (const Prefix& peer : service.peers) {
    if (covering(never, peer) != nullptr)
      return fail(EINVAL,
                  fmt::format("service {}: {} is never reached", service.name, to_string(peer)));
    if (covering(desktops, peer) != nullptr)
      return fail(EINVAL, fmt::format("service {}: {} is an address of desktops, which reach each "
                                      "other by groups only",
                                      service.name, to_string(peer)));
  }
  std::vector<Prefix> except = service.except;
  except.insert(except.end(), never.begin(), never.end());
  except.insert(except.end(), desktops.begin(), desktops.end());
  except = merged(std::move(except));
  auto peers = merged(service.peers);
  std::erase_if(peers, [&](const Prefix& peer) { return covering(except, peer) != nullptr; });
  if (peers.empty())
    return fail(EINVAL, fmt::format("service {}: nothing is left of what it is at", service.name));
  std::erase_if(except, [&](const Prefix& one) { return covering(peers, one) == nullptr; });

  std::vector<Allow> lines;
  for (const Prefix& one : except) lines.push_back({service.name, one, true, Protocol::kAny, {}});
  for (const Prefix& peer : peers)
    for (const Traffic& traffic : merged_traffic(service.traffic))
      lines.push_back({service.name, peer, false, traffic.protocol, traffic.ports});
  return lines;
}

class Compiler {
 public:
  Compiler(const PolicySet& set, const Surroundings& around) : set_(set), around_(around) {}

  Result<Ruleset> run() {
    rules_.uplink = around_.uplink;
    rules_.masquerade = around_.masquerade;
    if (set_.policies.contains(kNoPolicy))
      return fail(EINVAL, "policy none is there already: it allows nothing");
    if (!set_.fallback.empty() && set_.fallback != kNoPolicy &&
        !set_.policies.contains(set_.fallback))
      return fail(EINVAL, fmt::format("default: there is no policy {}", set_.fallback));
    PANAL_TRY(check_groups());
    // All services, used or not: a mistake is told before somebody needs it.
    for (const auto& [name, service] : set_.services) {
      PANAL_ASSIGN(lines_[name], lines_of(service, around_.desktops));
    }
    for (const auto& [name, policy] : set_.policies) PANAL_TRY(add(policy));
    if (rules_.policies.size() > kMostPolicies)
      return fail(EINVAL, fmt::format("{} policies (each counts once for each tenant that has it, "
                                      "where it has a group or shared rates); {} are possible",
                                      rules_.policies.size(), kMostPolicies));
    number_groups();
    PANAL_TRY(check_bridges());
    return std::move(rules_);
  }

 private:
  /// Rules that do not know bridges would let anything over them.
  Result<void> check_groups() const {
    for (const auto& [name, group] : set_.groups) {
      if (group.bridge && !around_.bridges)
        return fail(EOPNOTSUPP,
                    fmt::format("group {}: bridge = true: bridged groups need nftables (backend in "
                                "[network] of panal.toml); leave it out, and its desktops reach "
                                "each other by address",
                                name));
    }
    return {};
  }

  /// A bridge is found by its number again: two groups with the same would be on one.
  Result<void> check_bridges() const {
    std::map<std::uint32_t, const CompiledPolicy*> owners;
    for (const CompiledPolicy& policy : rules_.policies) {
      if (!policy.bridged) continue;
      const CompiledPolicy& owner =
          *owners.try_emplace(group_number(policy), &policy).first->second;
      if (owner.group != policy.group)
        return fail(EINVAL,
                    fmt::format("groups {} of tenant {} and {} of tenant {} would be on one "
                                "bridge; give one of them another name",
                                owner.group_name, owner.tenant, policy.group_name, policy.tenant));
    }
    return {};
  }

  Result<void> add(const NetPolicy& policy) {
    const NetLimits none;
    if (policy.group.empty() && policy.tenant_limits == none) return add(policy, "");
    // The set is sorted: the policy's tenants stand together.
    for (auto use = around_.uses.lower_bound({policy.name, ""});
         use != around_.uses.end() && use->first == policy.name; ++use)
      PANAL_TRY(add(policy, use->second));
    return check(policy);
  }

  /// Of a policy that nobody has.
  Result<void> check(const NetPolicy& policy) {
    PANAL_TRY(gather(policy, "reach", policy.reach));
    PANAL_TRY(gather(policy, "reached_by", policy.reached_by));
    return {};
  }

  Result<void> add(const NetPolicy& policy, const std::string& tenant) {
    CompiledPolicy out;
    out.name = policy.name;
    out.tenant = tenant;
    PANAL_ASSIGN(out.reach, gather(policy, "reach", policy.reach));
    PANAL_ASSIGN(out.reached_by, gather(policy, "reached_by", policy.reached_by));
    total_ += out.reach.size() + out.reached_by.size();
    if (total_ > kMostLines)
      return fail(EINVAL, fmt::format("the policies come to more than {} lines (addresses times "
                                      "ports): use prefixes and ranges",
                                      kMostLines));
    out.group_name = policy.group;
    const auto group = set_.groups.find(policy.group);
    out.bridged = group != set_.groups.end() && group->second.bridge;
    out.limits = policy.limits;
    out.tenant_limits = policy.tenant_limits;
    out.log = policy.log;
    out.id = static_cast<std::uint32_t>(rules_.policies.size() + 1);
    rules_.policies.push_back(std::move(out));
    return {};
  }

  Result<std::vector<Allow>> gather(const NetPolicy& policy, std::string_view key,
                                    std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    std::vector<Allow> lines;
    for (const std::string& name : names) {
      const auto found = lines_.find(name);
      if (found == lines_.end())
        return fail(EINVAL,
                    fmt::format("policy {}: {}: there is no service {}", policy.name, key, name));
      lines.insert(lines.end(), found->second.begin(), found->second.end());
      if (lines.size() > kMostLines) break;  // said by add()
    }
    return lines;
  }

  void number_groups() {
    std::map<std::pair<std::string, std::string>, std::uint32_t> groups;
    for (const CompiledPolicy& policy : rules_.policies)
      if (!policy.group_name.empty()) groups[{policy.group_name, policy.tenant}] = 0;
    std::uint32_t last = 0;
    for (auto& [name, id] : groups) id = ++last;  // not more than there are policies
    for (CompiledPolicy& policy : rules_.policies)
      if (!policy.group_name.empty()) policy.group = groups[{policy.group_name, policy.tenant}];
  }

  const PolicySet& set_;
  const Surroundings& around_;
  std::map<std::string, std::vector<Allow>> lines_;  ///< by service
  std::size_t total_ = 0;
  Ruleset rules_;
};

}  // namespace

Result<Ruleset> compile(const PolicySet& set, const Surroundings& around) {
  return Compiler(set, around).run();
}

std::uint32_t policy_id(const Ruleset& rules, const std::string& name, const std::string& tenant) {
  for (const CompiledPolicy& policy : rules.policies)
    if (policy.name == name && (policy.tenant.empty() || policy.tenant == tenant)) return policy.id;
  return 0;
}

}  // namespace panal::netconfine
