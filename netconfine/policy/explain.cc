#include <fmt/format.h>

#include "netconfine/policy/amount.h"
#include "netconfine/policy/compiled.h"
#include "netconfine/policy/prefix.h"

namespace panal::netconfine {
namespace {

const CompiledPolicy* policy_of(const Ruleset& rules, const Sender& sender) {
  // Ids are 1, 2, ... in order.
  if (sender.policy == 0 || sender.policy > rules.policies.size()) return nullptr;
  return &rules.policies[sender.policy - 1];
}

Prefix source(const Flow& flow) { return flow.v6 ? prefix_of(flow.from6) : prefix_of(flow.from4); }
Prefix destination(const Flow& flow) { return flow.v6 ? prefix_of(flow.to6) : prefix_of(flow.to4); }

bool owns(const Sender& sender, const Prefix& address) {
  return address ==
         (address.v6 ? prefix_of(sender.addresses.ipv6) : prefix_of(sender.addresses.ipv4));
}

bool is_for(const Allow& line, const Flow& flow) {
  if (line.protocol == Protocol::kAny) return true;
  if (line.protocol != flow.protocol) return false;
  return line.protocol == Protocol::kIcmp ||
         (line.ports.first <= flow.port && flow.port <= line.ports.last);
}

std::string words(const Flow& flow) {
  switch (flow.protocol) {
    case Protocol::kAny: return "other protocols";
    case Protocol::kIcmp: return "ping";
    case Protocol::kTcp:
    case Protocol::kUdp: break;
  }
  return to_string(Traffic{flow.protocol, {flow.port, flow.port}});
}

/// One policy's allow list against the address outside.
Explanation look(const CompiledPolicy& policy, const std::vector<Allow>& lines, const Flow& flow,
                 const Prefix& outside, const char* none) {
  std::string other;  // why the nearest miss was one
  for (auto line = lines.begin(); line != lines.end();) {
    const std::string& service = line->service;
    const Allow* taken = nullptr;
    bool reached = false, address = false;
    for (; line != lines.end() && line->service == service; ++line) {
      if (!contains(line->peer, outside)) continue;
      if (line->except) {
        taken = &*line;
      } else {
        address = true;
        reached = reached || is_for(*line, flow);
      }
    }
    if (taken == nullptr && reached)
      return {true, fmt::format("policy {}: service {}", policy.name, service)};
    if (taken != nullptr && reached)
      other = fmt::format("service {} leaves out {}", service, to_string(taken->peer));
    else if (taken == nullptr && address && other.empty())
      other = fmt::format("service {} is not for {}", service, words(flow));
  }
  if (other.empty()) other = fmt::format("{} {}", none, to_string(outside));
  return {false, fmt::format("policy {}: {}", policy.name, other)};
}

Explanation without_policy() { return {false, "no policy: nothing is allowed"}; }

Explanation between(const Ruleset& rules, const Sender& from, const Sender& to) {
  if (from.addresses.link == to.addresses.link) return {false, "its own address: no packet leaves"};
  const CompiledPolicy* sends = policy_of(rules, from);
  const CompiledPolicy* receives = policy_of(rules, to);
  if (sends == nullptr) return without_policy();
  if (sends->group == 0)
    return {false,
            fmt::format("policy {}: in no group, so that it reaches no desktop", sends->name)};
  if (receives == nullptr || receives->group == 0)
    return {false, fmt::format("policy {}: the other desktop is in no group", sends->name)};
  if (sends->group == receives->group)
    return {true, fmt::format("policy {}: group {}{}", sends->name, sends->group_name,
                              sends->bridged ? ", which has a bridge" : "")};
  if (sends->group_name == receives->group_name)
    return {false, fmt::format("policy {}: group {} of another tenant", sends->name,
                               receives->group_name)};
  return {false, fmt::format("policy {}: the other desktop is in group {}, not in {}", sends->name,
                             receives->group_name, sends->group_name)};
}

}  // namespace

Explanation explain(const Ruleset& rules, const Sender* from, const Sender* to, const Flow& flow) {
  if (from == nullptr && to == nullptr) return {false, "neither end is a desktop"};
  if (from != nullptr && !owns(*from, source(flow)))
    return {false, fmt::format("spoofed: {} is not {}'s address", to_string(source(flow)),
                               from->addresses.link)};
  if (to != nullptr && !owns(*to, destination(flow)))
    return {false, fmt::format("{} is not {}'s address", to_string(destination(flow)),
                               to->addresses.link)};
  if (from != nullptr && to != nullptr) return between(rules, *from, *to);
  const CompiledPolicy* policy = policy_of(rules, from != nullptr ? *from : *to);
  if (policy == nullptr) return without_policy();
  if (rules.uplink.empty()) return {false, "no uplink: nothing leads outside"};
  if (from != nullptr) {
    return look(*policy, policy->reach, flow, destination(flow), "no service in reach is at");
  }
  return look(*policy, policy->reached_by, flow, source(flow), "no service in reached_by is at");
}

}  // namespace panal::netconfine
