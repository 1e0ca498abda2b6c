#include "runtime/node/confinement.h"

#include <map>
#include <nlohmann/json.hpp>

#include "engine/kernel/namespaces.h"
#include "netconfine/policy/text.h"
#include "netconfine/probe/probe.h"
#include "runtime/netpolicy/policy_file.h"
#include "runtime/netpolicy/uplink_words.h"
#include "runtime/node/net_in_force.h"

namespace panal::node {

using nlohmann::json;

namespace {

/// A packet is there in well under a millisecond; a busy host gets time.
constexpr std::chrono::milliseconds kPatience{800};

/// Policies, and desktops whose policy is missing, that one answer tells.
constexpr std::size_t kMostTold = 500;

/// A policy with its services and what is said about its group, as a file would say it; empty: it
/// allows nothing.
std::string policy_text(const netconfine::PolicySet& set, const std::string& name) {
  const auto policy = set.policies.find(name);
  if (policy == set.policies.end()) return {};
  netconfine::PolicySet part;
  part.policies[name] = policy->second;
  for (const auto* names : {&policy->second.reach, &policy->second.reached_by})
    for (const std::string& service : *names) part.services[service] = set.services.at(service);
  if (const auto group = set.groups.find(policy->second.group); group != set.groups.end())
    part.groups.insert(*group);
  return netconfine::print_policies(part);
}

json missing_json(const netpolicy::Plan& plan) {
  auto out = json::array();
  for (const auto& [id, holder] : plan.desktops)
    if (holder.missing && out.size() < kMostTold)
      out.push_back({{"desktop", id}, {"name", holder.name}, {"policy", holder.policy}});
  return out;
}

}  // namespace

Result<std::unique_ptr<Confinement>> Confinement::open(Parts parts) {
  PANAL_ASSIGN(const auto pool,
               netconfine::AddressPool::parse(parts.config.subnet4, parts.config.subnet6));
  return std::unique_ptr<Confinement>(new Confinement(std::move(parts), pool));
}

void Confinement::resume() {
  const std::lock_guard lock(mutex_);
  const auto resumed = [&]() -> Result<void> {
    PANAL_ASSIGN(const RulesBefore before, read_in_force(parts_.config.run_dir));
    PANAL_ASSIGN(auto plan, netpolicy::make_plan(before.set, before.rows, parts_.config));
    return bring(std::move(plan));
  }();
  if (!resumed && resumed.error().code != ENOENT)
    parts_.log->warning("network_resume", {{"why", resumed.error().message()}});
}

Result<void> Confinement::start(store::Store& store) {
  const std::lock_guard lock(mutex_);
  PANAL_ASSIGN(const auto rows, store.net_policies(parts_.config.node_name));
  const auto file = netpolicy::read_policy_file(parts_.config.policies_file);
  if (file) {
    file_there_ = file->there;
    auto plan = netpolicy::make_plan(file->set, rows, parts_.config);
    if (plan) {
      mistake_.clear();
      const auto changes = netpolicy::differences(plan_.set, file->set);
      if (const auto noted = note(store, "panald", changes); !noted)
        parts_.log->warning("network_audit", {{"why", noted.error().message()}});
      // What this kernel cannot do (rates) is a mistake like another: who runs goes on.
      const auto brought = bring(std::move(*plan));
      if (brought) return {};
      mistake_ = parts_.config.policies_file + ": " + brought.error().message();
    } else {
      mistake_ = parts_.config.policies_file + ": " + plan.error().context;
    }
  } else {
    file_there_ = true;
    mistake_ = file.error().code == EPROTO ? file.error().context : file.error().message();
  }
  parts_.log->error("network_policies", {{"why", mistake_}, {"in_force", "what was before"}});
  PANAL_ASSIGN(auto plan, netpolicy::make_plan(plan_.set, rows, parts_.config));
  return bring(std::move(plan));
}

Result<void> Confinement::bring(netpolicy::Plan plan) {
  const bool same_rules = plan.rules == plan_.rules;
  const bool same_desktops = plan.desktops == plan_.desktops;
  if (!same_rules) {
    PANAL_TRY(parts_.network.set_rules(plan.rules, plan.policies()));
  } else if (!same_desktops) {
    for (const auto& [id, holder] : plan.desktops) {
      const auto before = plan_.desktops.find(id);
      if (before != plan_.desktops.end() && before->second.id == holder.id) continue;
      PANAL_TRY(parts_.network.set_policy(id, holder.id));
    }
  }
  if (same_rules && same_desktops && plan.set == plan_.set && !unsaved_) return {};
  plan_ = std::move(plan);
  for (const auto& [id, holder] : plan_.desktops)
    if (holder.missing)
      parts_.log->warning("network_policy_missing",
                          {{"desktop", kernel_name(id)}, {"policy", holder.policy}});
  parts_.log->info("network_rules", {{"policies", std::to_string(plan_.rules.policies.size())},
                                     {"desktops", std::to_string(plan_.desktops.size())}});
  // Less than all of it would allow less, and the next panald reads the database anyway.
  unsaved_ = false;
  if (const auto saved = write_in_force(parts_.config.run_dir, plan_); !saved)
    parts_.log->warning("network_save", {{"why", saved.error().message()}});
  return {};
}

Result<void> Confinement::refresh(store::Store& store) {
  const std::lock_guard lock(mutex_);
  PANAL_ASSIGN(const auto rows, store.net_policies(parts_.config.node_name));
  PANAL_ASSIGN(auto plan, netpolicy::make_plan(plan_.set, rows, parts_.config));
  return bring(std::move(plan));
}

Result<void> Confinement::admit(store::Store& store, DesktopId id) {
  const std::lock_guard lock(mutex_);
  PANAL_ASSIGN(const auto row, store.net_policy(id));
  if (!netpolicy::place(plan_, row)) {
    PANAL_ASSIGN(const auto rows, store.net_policies(parts_.config.node_name));
    PANAL_ASSIGN(auto plan, netpolicy::make_plan(plan_.set, rows, parts_.config));
    return bring(std::move(plan));
  }
  unsaved_ = true;  // by the next refresh: starts come in hundreds
  return parts_.network.set_policy(id, plan_.desktops[id].id);
}

Result<void> Confinement::note(store::Store& store, const std::string& actor,
                               const std::vector<std::string>& changes) const {
  if (changes.empty()) return {};
  std::string detail;
  for (const std::string& change : changes) detail += (detail.empty() ? "" : "; ") + change;
  return store.audit(actor, "net.apply", "node " + parts_.config.node_name,
                     printable(detail, 2000));
}

Result<json> Confinement::apply(store::Store& store, bool dry_run, const std::string& actor) {
  const std::lock_guard lock(mutex_);
  PANAL_ASSIGN(const auto rows, store.net_policies(parts_.config.node_name));
  auto file = netpolicy::read_policy_file(parts_.config.policies_file);
  if (!file) return tl::make_unexpected(std::move(file.error()));
  auto made = netpolicy::make_plan(file->set, rows, parts_.config);
  if (!made) return fail(EPROTO, file->path + ": " + made.error().context);
  const auto changes = netpolicy::differences(plan_.set, file->set);
  json out = {{"file", file->path},
              {"there", file->there},
              {"changes", changes},
              {"desktops", concerned(plan_, *made)},
              {"missing", missing_json(*made)}};
  if (dry_run) return out;
  // Written down first: what is in force unseen is worse than an entry too many.
  PANAL_TRY(note(store, actor, changes));
  PANAL_TRY(bring(std::move(*made)));
  file_there_ = file->there;
  mistake_.clear();
  return out;
}

json Confinement::show() {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::size_t> holders;
  for (const auto& [id, holder] : plan_.desktops) ++holders[holder.policy];
  auto policies = json::array();
  for (const auto& [name, policy] : plan_.set.policies) {
    if (policies.size() == kMostTold) break;
    policies.push_back({{"name", name},
                        {"desktops", holders[name]},
                        {"group", policy.group},
                        {"reach", policy.reach},
                        {"reached_by", policy.reached_by}});
  }
  auto dropped = json::object();
  if (const auto drops = parts_.network.drops())
    for (const auto& drop : *drops) dropped[drop.reason] = drop.packets;
  return {{"file", parts_.config.policies_file},
          {"there", file_there_},
          {"mistake", mistake_},
          {"default", plan_.set.fallback.empty() ? netconfine::kNoPolicy : plan_.set.fallback},
          {"uplink", plan_.rules.uplink},
          {"none", holders[netconfine::kNoPolicy]},
          {"more", plan_.set.policies.size() - policies.size()},
          {"policies", std::move(policies)},
          {"missing", missing_json(plan_)},
          {"dropped", std::move(dropped)}};
}

Result<json> Confinement::show_policy(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (name != netconfine::kNoPolicy && !plan_.set.policies.contains(name))
    return fail(ENOENT, "no policy " + printable(name, 80) + " is in force on this node");
  return json{{"name", name}, {"text", policy_text(plan_.set, name)}};
}

Result<json> Confinement::show_desktop(DesktopId id) {
  const std::lock_guard lock(mutex_);
  const auto found = plan_.desktops.find(id);
  if (found == plan_.desktops.end())
    return fail(ENOENT, "desktop " + std::to_string(id) + " is not on this node");
  PANAL_ASSIGN(const auto addresses, pool_.of(id));
  const netpolicy::Holder& holder = found->second;
  return json{{"id", id},
              {"name", holder.name},
              {"tenant", holder.tenant},
              {"policy", holder.policy},
              {"given_by", holder.given_by},
              {"missing", holder.missing},
              {"address4", netconfine::to_string(addresses.ipv4)},
              {"address6", netconfine::to_string(addresses.ipv6)},
              {"link", addresses.link},
              {"text", policy_text(plan_.set, holder.policy)}};
}

Result<json> Confinement::explain(const netpolicy::Query& query) {
  const std::lock_guard lock(mutex_);
  PANAL_ASSIGN(const auto answer, netpolicy::answer(plan_, pool_, query));
  return netpolicy::to_json(plan_, query, answer);
}

Result<json> Confinement::describe_uplink() const {
  PANAL_ASSIGN(const auto words, netpolicy::describe_uplink(parts_.config));
  return netpolicy::to_json(words);
}

Result<json> Confinement::test(const netpolicy::Query& query, const UniqueFd& desktop_namespace) {
  // All of one plan; the probe is sent without the lock.
  json out;
  netpolicy::Answer asked;
  std::string uplink;
  {
    const std::lock_guard lock(mutex_);
    PANAL_ASSIGN(asked, netpolicy::answer(plan_, pool_, query));
    out = netpolicy::to_json(plan_, query, asked);
    uplink = plan_.rules.uplink;
  }
  if (!asked.from) return fail(EINVAL, "a test is sent from a desktop");
  PANAL_ASSIGN(const UniqueFd panal, kernel::open_namespace(parts_.config.net_namespace_file()));
  PANAL_ASSIGN(const auto sent, netconfine::probe(panal, desktop_namespace, asked.from->addresses,
                                                  asked.flow, kPatience));
  const std::string expected = asked.to ? asked.to->addresses.link : uplink;
  const bool right_way = !sent.passed || sent.by == expected;
  out["sent"] = {{"left", sent.left}, {"passed", sent.passed}, {"by", sent.by}};
  out["proved"] = sent.left && right_way && sent.passed == asked.said.allowed;
  return out;
}

}  // namespace panal::node
