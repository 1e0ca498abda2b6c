#include "runtime/cli/doctor_net.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/log.h"
#include "runtime/netpolicy/plan.h"
#include "runtime/netpolicy/policy_file.h"

namespace panal::cli {

Check check_net_policies(const config::Config& config,
                         const std::vector<store::NetAssignment>& given) {
  const std::string name = "network policies";
  const auto file = netpolicy::read_policy_file(config.policies_file);
  const std::string how =
      "mend it: panal net check looks for mistakes, panal net apply puts it in force";
  if (!file)
    return {name, Check::kWarning,
            file.error().code == EPROTO ? file.error().context : file.error().message(), how};
  const auto plan = netpolicy::make_plan(file->set, {}, config);
  if (!plan)
    return {name, Check::kWarning, fmt::format("{}: {}", file->path, plan.error().context), how};
  for (const store::NetAssignment& one : given)
    if (one.policy != netconfine::kNoPolicy && !file->set.policies.contains(one.policy))
      return {name, Check::kWarning,
              fmt::format("{} {} has policy {}, which {} does not have: nothing is allowed there",
                          to_string(one.target.scope), printable(one.shown, 100), one.policy,
                          file->path),
              "add it to the file, or panal net assign another one"};
  if (!file->there)
    return {
        name, Check::kOk, fmt::format("there is no {}: desktops reach nothing", file->path), {}};
  const bool reaches = std::any_of(
      file->set.policies.begin(), file->set.policies.end(),
      [](const auto& one) { return !one.second.reach.empty() || !one.second.reached_by.empty(); });
  if (reaches && plan->rules.uplink.empty())
    return {name, Check::kWarning,
            fmt::format("{} allows services, but there is no uplink: nothing outside is reached",
                        file->path),
            "set uplink in [network] of panal.toml"};
  return {name,
          Check::kOk,
          fmt::format("{} services and {} policies", file->set.services.size(),
                      file->set.policies.size()),
          {}};
}

}  // namespace panal::cli
