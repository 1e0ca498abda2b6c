#include "runtime/cli/doctor_net.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/log.h"
#include "netconfine/policy/amount.h"
#include "runtime/netpolicy/plan.h"
#include "runtime/netpolicy/policy_file.h"

namespace panal::cli {
namespace {

/// "; all desktops together send 1 Gbit at most"; nothing where nothing bounds them.
std::string line_words(const netconfine::LineLimits& line) {
  std::string out;
  const auto bound = [&out](const char* what, std::uint64_t bits_per_second) {
    if (bits_per_second == 0) return;
    out += fmt::format("{} {} {} at most", out.empty() ? "; all desktops together" : ",", what,
                       netconfine::format_rate(bits_per_second));
  };
  bound("send", line.send_bits_per_second);
  bound("receive", line.receive_bits_per_second);
  return out;
}

}  // namespace

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
  const auto line = netpolicy::line_limits(config);
  if (!line) return {name, Check::kWarning, line.error().context, "mend [network] of panal.toml"};
  for (const store::NetAssignment& one : given)
    if (one.policy != netconfine::kNoPolicy && !file->set.policies.contains(one.policy))
      return {name, Check::kWarning,
              fmt::format("{} {} has policy {}, which {} does not have: nothing is allowed there",
                          to_string(one.target.scope), printable(one.shown, 100), one.policy,
                          file->path),
              "add it to the file, or panal net assign another one"};
  if (!file->there)
    return {name,
            Check::kOk,
            fmt::format("there is no {}: desktops reach nothing{}", file->path, line_words(*line)),
            {}};
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
          fmt::format("{} services and {} policies{}", file->set.services.size(),
                      file->set.policies.size(), line_words(*line)),
          {}};
}

}  // namespace panal::cli
