#include "bench/network/network.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "bench/density/say.h"
#include "bench/network/node.h"

namespace panal::bench {

using nlohmann::json;

const std::vector<std::string>& network_parts() {
  static const std::vector<std::string> all = {"cost", "changes", "swap", "repair"};
  return all;
}

Result<json> run_network(const NetworkOptions& options) {
  if (std::getenv("PANAL_LAB") == nullptr)
    return fail(EINVAL, "the network is measured in a lab (scripts/lab)");
  if (options.sizes.empty() || options.rounds == 0 || options.batches == 0)
    return fail(EINVAL, "network: no sizes, or no rounds");
  const auto& arms = options.arms.empty() ? network_arms() : options.arms;
  json result = {{"sizes", options.sizes}, {"parts", json::object()}};
  for (const auto& part : options.parts.empty() ? network_parts() : options.parts) {
    say("{}", part);
    auto measured = part == "cost"      ? network_cost(options, arms)
                    : part == "changes" ? network_changes(options, arms)
                    : part == "swap"    ? network_swap(options, arms)
                                        : network_repair(options, arms);
    if (!measured) return prefixed("network: " + part, measured.error());
    result["parts"][part] = std::move(*measured);
  }
  return result;
}

}  // namespace panal::bench
