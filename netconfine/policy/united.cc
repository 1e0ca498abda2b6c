#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "netconfine/policy/compiled.h"

namespace panal::netconfine {
namespace {

bool same(const CompiledPolicy& a, const CompiledPolicy& b) {
  return a.name == b.name && a.tenant == b.tenant;
}

const CompiledPolicy* assigned(const Ruleset& rules, const Assignments& assignments, DesktopId id) {
  const auto one = assignments.find(id);
  if (one == assignments.end()) return nullptr;
  const auto found =
      std::find_if(rules.policies.begin(), rules.policies.end(),
                   [&](const CompiledPolicy& policy) { return policy.id == one->second; });
  return found != rules.policies.end() ? &*found : nullptr;
}

// What a policy of another ruleset is called here; 0: it is not here. (Not policy_id(): where a
// policy has got a group, one of everybody's and one of a tenant's have the same name.)
std::uint32_t number_in(const Ruleset& rules, const CompiledPolicy* policy) {
  if (policy == nullptr) return 0;
  const auto found =
      std::find_if(rules.policies.begin(), rules.policies.end(),
                   [&](const CompiledPolicy& other) { return same(other, *policy); });
  return found != rules.policies.end() ? found->id : 0;
}

}  // namespace

Ruleset united(const Ruleset& old, const Ruleset& next) {
  Ruleset both = next;
  for (const CompiledPolicy& policy : old.policies) {
    const bool known =
        std::any_of(next.policies.begin(), next.policies.end(),
                    [&](const CompiledPolicy& other) { return same(policy, other); });
    if (!known) both.policies.push_back(policy);
  }
  std::sort(both.policies.begin(), both.policies.end(),
            [](const CompiledPolicy& a, const CompiledPolicy& b) {
              return std::tie(a.name, a.tenant) < std::tie(b.name, b.tenant);
            });
  // Numbers are each ruleset's own.
  std::map<std::pair<std::string, std::string>, std::uint32_t> groups;
  std::uint32_t id = 0, last = 0;
  for (CompiledPolicy& policy : both.policies) {
    policy.id = ++id;
    if (policy.group == 0) continue;
    std::uint32_t& group = groups[{policy.group_name, policy.tenant}];
    if (group == 0) group = ++last;
    policy.group = group;
  }
  return both;
}

std::vector<RulesStep> steps_between(const Ruleset& old, const Assignments& had,
                                     const Ruleset& next, const Assignments& has,
                                     std::span<const DesktopId> ids) {
  // Policies that both have are as they were for as long as desktops have what they had, and as
  // they are to be once they have what they are to have: the new ones beside old assignments
  // would allow what neither allows.
  RulesStep from{united(next, old), {}}, to{united(old, next), {}};
  bool needed = false;
  for (const DesktopId id : ids) {
    const CompiledPolicy* before = assigned(old, had, id);
    const CompiledPolicy* after = assigned(next, has, id);
    from.policies[id] = number_in(from.rules, before);
    to.policies[id] = number_in(to.rules, after);
    needed = needed || (before != nullptr && after != nullptr &&
                        (number_in(old, after) == 0 || number_in(next, before) == 0));
  }
  std::vector<RulesStep> steps;
  if (!needed) return steps;
  steps.push_back(std::move(from));
  steps.push_back(std::move(to));
  return steps;
}

}  // namespace panal::netconfine
