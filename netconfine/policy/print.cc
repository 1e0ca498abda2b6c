#include <fmt/format.h>

#include "netconfine/policy/amount.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/policy/text.h"

namespace panal::netconfine {
namespace {

/// Names, prefixes and ports: nothing in them needs escaping.
template <typename List, typename Word>
std::string list_line(std::string_view key, const List& list, const Word& word) {
  if (list.empty()) return {};
  std::string line = fmt::format("{} = [", key);
  for (std::size_t i = 0; i < list.size(); ++i)
    line += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", word(list[i]));
  return line + "]\n";
}

std::string rates(const std::string& policy, std::string_view key, const NetLimits& limits) {
  if (limits.send_bits_per_second == 0 && limits.receive_bits_per_second == 0) return {};
  std::string out = fmt::format("[policy.{}.{}]\n", policy, key);
  if (limits.send_bits_per_second != 0)
    out += fmt::format("send = \"{}\"\n", format_rate(limits.send_bits_per_second));
  if (limits.receive_bits_per_second != 0)
    out += fmt::format("receive = \"{}\"\n", format_rate(limits.receive_bits_per_second));
  if (limits.burst_bytes != 0)
    out += fmt::format("burst = \"{}\"\n", format_bytes(limits.burst_bytes));
  return out;
}

}  // namespace

std::string_view to_string(NetLog log) {
  switch (log) {
    case NetLog::kNone: return "none";
    case NetLog::kDenied: return "denied";
    case NetLog::kAll: return "all";
  }
  return "none";
}

std::string print_service(const Service& service) {
  const auto prefix = [](const Prefix& one) { return to_string(one); };
  return fmt::format("[service.{}]\n", service.name) + list_line("to", service.peers, prefix) +
         list_line("except", service.except, prefix) +
         list_line("ports", service.traffic, [](const Traffic& one) { return to_string(one); });
}

std::string print_policy(const NetPolicy& policy) {
  const auto name = [](const std::string& one) -> const std::string& { return one; };
  std::string out = fmt::format("[policy.{}]\n", policy.name);
  out += list_line("reach", policy.reach, name);
  out += list_line("reached_by", policy.reached_by, name);
  if (!policy.group.empty()) out += fmt::format("group = \"{}\"\n", policy.group);
  if (policy.log != NetLog::kNone) out += fmt::format("log = \"{}\"\n", to_string(policy.log));
  if (policy.limits.connections != 0)
    out += fmt::format("connections = {}\n", policy.limits.connections);
  if (policy.limits.new_connections_per_second != 0)
    out +=
        fmt::format("new_connections_per_second = {}\n", policy.limits.new_connections_per_second);
  out += rates(policy.name, "rate", policy.limits);
  out += rates(policy.name, "tenant_rate", policy.tenant_limits);
  return out;
}

std::string print_group(const NetGroup& group) {
  return fmt::format("[group.{}]\n{}", group.name, group.bridge ? "bridge = true\n" : "");
}

std::string print_policies(const PolicySet& set) {
  std::string out;
  const auto part = [&out](const std::string& text) { out += (out.empty() ? "" : "\n") + text; };
  if (!set.fallback.empty()) part(fmt::format("default = \"{}\"\n", set.fallback));
  for (const auto& [name, service] : set.services) part(print_service(service));
  for (const auto& [name, policy] : set.policies) part(print_policy(policy));
  for (const auto& [name, group] : set.groups) part(print_group(group));
  return out;
}

}  // namespace panal::netconfine
