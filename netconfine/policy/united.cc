#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

Ruleset united(const Ruleset& old, const Ruleset& next) {
  Ruleset both = next;
  const auto same = [](const CompiledPolicy& a, const CompiledPolicy& b) {
    return a.name == b.name && a.tenant == b.tenant;
  };
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

}  // namespace panal::netconfine
