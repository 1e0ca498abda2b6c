#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/node/agent_hub.h"
#include "runtime/node/cost_meter.h"
#include "runtime/node/host.h"
#include "runtime/node/reconciler.h"

namespace panal::node {

struct StatisticsRequest {
  DesktopId only = 0;  ///< 0: all that run
  DesktopId from = 0;  ///< those before it were told already
  bool cost = false;   ///< what they truly cost is to be looked at, and told as far as it was
};

struct StatisticsSources {
  Host& host;
  const std::string& cgroup_parent;
  const Reconciler& reconciler;
  const AgentHub& hub;
  CostMeter& costs;
};

/// As many desktops as fit into a message (control::kMessageBytes) go into one answer; `next` is
/// where the following one begins.
inline constexpr std::size_t kDesktopsTold = 200;

/// The answer to `stats`. Reads a handful of cgroup files for each desktop told. `optimiser`: its
/// report.
[[nodiscard]] nlohmann::json statistics(const StatisticsSources& sources, nlohmann::json optimiser,
                                        const StatisticsRequest& request);

}  // namespace panal::node
