#include "runtime/node/net_in_force.h"

#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/tree.h"
#include "netconfine/policy/text.h"

namespace panal::node {
namespace {

using nlohmann::json;

constexpr const char* kInForceFile = "network.in-force";
constexpr const char* kInForceAside = "network.in-force.new";

/// A group as the set has it, something said about it or not.
netconfine::NetGroup group_of(const netconfine::PolicySet& set, const std::string& name) {
  const auto found = set.groups.find(name);
  return found != set.groups.end() ? found->second : netconfine::NetGroup{.name = name};
}

/// Whether two plans mean the same by a policy.
bool same_policy(const netpolicy::Plan& then, const netpolicy::Plan& now, const std::string& name) {
  const auto before = then.set.policies.find(name), after = now.set.policies.find(name);
  const bool is_there = after != now.set.policies.end();
  if ((before != then.set.policies.end()) != is_there) return false;
  if (!is_there) return true;
  if (!(before->second == after->second)) return false;
  const std::string& group = after->second.group;
  if (!group.empty() && !(group_of(then.set, group) == group_of(now.set, group))) return false;
  for (const auto* names : {&after->second.reach, &after->second.reached_by})
    for (const std::string& service : *names) {
      const auto old = then.set.services.find(service);
      if (old == then.set.services.end() || !(old->second == now.set.services.at(service)))
        return false;
    }
  return true;
}

std::vector<store::DesktopNetPolicy> rows_of(const netpolicy::Plan& plan) {
  std::vector<store::DesktopNetPolicy> rows;
  for (const auto& [id, holder] : plan.desktops) {
    const bool given = holder.given_by != "default";
    rows.push_back({id, holder.name, holder.tenant, "", "", given ? holder.policy : "",
                    given ? holder.given_by : ""});
  }
  return rows;
}

}  // namespace

std::size_t concerned(const netpolicy::Plan& then, const netpolicy::Plan& now) {
  std::map<std::string, bool> same;
  std::size_t count = 0;
  for (const auto& [id, holder] : now.desktops) {
    const auto before = then.desktops.find(id);
    const std::string former = before == then.desktops.end() ? "" : before->second.policy;
    const auto known = same.try_emplace(holder.policy, false);
    if (known.second) known.first->second = same_policy(then, now, holder.policy);
    if (former != holder.policy || !known.first->second) ++count;
  }
  return count;
}

std::string print_in_force(const netpolicy::Plan& plan) {
  auto desktops = json::array();
  for (const auto& row : rows_of(plan))
    desktops.push_back({row.id, row.name, row.tenant, row.policy, row.given_by});
  return json{{"policies", netconfine::print_policies(plan.set)}, {"desktops", desktops}}.dump();
}

Result<RulesBefore> parse_in_force(const std::string& text) {
  const json parsed = json::parse(text, nullptr, false);
  const auto bad = [] { return fail(EPROTO, std::string(kInForceFile) + " is damaged"); };
  if (!parsed.is_object() || !parsed.contains("policies") || !parsed.contains("desktops") ||
      !parsed["policies"].is_string() || !parsed["desktops"].is_array())
    return bad();
  RulesBefore out;
  PANAL_ASSIGN(out.set,
               netconfine::parse_policies(parsed["policies"].get<std::string>(), kInForceFile));
  for (const json& one : parsed["desktops"]) {
    if (!one.is_array() || one.size() != 5 || !one[0].is_number_integer()) return bad();
    for (std::size_t i = 1; i < one.size(); ++i)
      if (!one[i].is_string()) return bad();
    out.rows.push_back({one[0].get<DesktopId>(), one[1].get<std::string>(),
                        one[2].get<std::string>(), "", "", one[3].get<std::string>(),
                        one[4].get<std::string>()});
  }
  return out;
}

Result<void> write_in_force(const std::string& run_dir, const netpolicy::Plan& plan) {
  const std::string file = run_dir + "/" + kInForceFile, aside = run_dir + "/" + kInForceAside;
  const std::string text = print_in_force(plan);
  const UniqueFd fd(
      ::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno("write", aside);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t put = ::write(fd.get(), rest.data(), rest.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return fail_errno("write", aside);
    rest.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::rename(aside.c_str(), file.c_str()) != 0) return fail_errno("rename to", file);
  return {};
}

Result<RulesBefore> read_in_force(const std::string& run_dir) {
  PANAL_ASSIGN(const Dir run, Dir::open(run_dir));
  PANAL_ASSIGN(const std::string text, run.read(kInForceFile));
  return parse_in_force(text);
}

}  // namespace panal::node
