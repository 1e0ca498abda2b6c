#include "runtime/netpolicy/plan.h"

#include "netconfine/policy/amount.h"
#include "netconfine/policy/prefix.h"

namespace panal::netpolicy {
namespace {

Holder holder_of(const netconfine::PolicySet& set, const store::DesktopNetPolicy& row) {
  Holder holder{row.name, row.tenant, row.policy, row.given_by, false, 0};
  if (holder.policy.empty()) {
    holder.policy = set.fallback.empty() ? netconfine::kNoPolicy : set.fallback;
    holder.given_by = "default";
  }
  holder.missing = holder.policy != netconfine::kNoPolicy && !set.policies.contains(holder.policy);
  return holder;
}

Result<std::uint64_t> line_limit(const char* key, const std::string& text) {
  if (text.empty()) return std::uint64_t{0};
  auto rate = netconfine::parse_rate(text);
  if (!rate) return fail(EINVAL, std::string(key) + " = \"" + text + "\" " + rate.error().context);
  return rate;
}

}  // namespace

std::map<DesktopId, std::uint32_t> Plan::policies() const {
  std::map<DesktopId, std::uint32_t> out;
  for (const auto& [id, holder] : desktops) out[id] = holder.id;
  return out;
}

Result<netconfine::UplinkPlan> uplink_plan(const config::Config& config) {
  PANAL_ASSIGN(const auto desktops4, netconfine::parse_prefix(config.subnet4));
  PANAL_ASSIGN(const auto desktops6, netconfine::parse_prefix(config.subnet6));
  const netconfine::UplinkSettings settings{config.uplink,          config.uplink_device,
                                            config.uplink_address4, config.uplink_gateway4,
                                            config.uplink_address6, config.uplink_gateway6,
                                            config.uplink_direct};
  return netconfine::parse_uplink(settings, desktops4, desktops6);
}

Result<netconfine::LineLimits> line_limits(const config::Config& config) {
  netconfine::LineLimits line;
  PANAL_ASSIGN(line.send_bits_per_second, line_limit("line_send", config.line_send));
  PANAL_ASSIGN(line.receive_bits_per_second, line_limit("line_receive", config.line_receive));
  return line;
}

Result<netconfine::Surroundings> surroundings(const config::Config& config) {
  PANAL_ASSIGN(const auto uplink, uplink_plan(config));
  netconfine::Surroundings around;
  around.desktops = {uplink.desktops4, uplink.desktops6};
  if (uplink.kind != netconfine::UplinkKind::kNone) around.uplink = netconfine::kUplinkName;
  around.masquerade = uplink.masquerade();
  // Where "auto" comes to iptables after all, the network itself refuses such rules.
  around.bridges = config.firewall_backend != "iptables";
  return around;
}

Result<Plan> make_plan(const netconfine::PolicySet& set,
                       const std::vector<store::DesktopNetPolicy>& rows,
                       const config::Config& config) {
  Plan plan;
  plan.set = set;
  PANAL_ASSIGN(auto around, surroundings(config));
  for (const store::DesktopNetPolicy& row : rows) {
    const Holder holder = holder_of(set, row);
    around.uses.insert({holder.policy, holder.tenant});
    plan.desktops[row.id] = holder;
  }
  PANAL_ASSIGN(plan.rules, netconfine::compile(set, around));
  for (auto& [id, holder] : plan.desktops)
    holder.id = netconfine::policy_id(plan.rules, holder.policy, holder.tenant);
  return plan;
}

bool place(Plan& plan, const store::DesktopNetPolicy& row) {
  Holder holder = holder_of(plan.set, row);
  holder.id = netconfine::policy_id(plan.rules, holder.policy, holder.tenant);
  const bool lacks = holder.id == 0 && !holder.missing && holder.policy != netconfine::kNoPolicy;
  if (lacks) return false;
  plan.desktops[row.id] = std::move(holder);
  return true;
}

}  // namespace panal::netpolicy
