#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/node/agent_hub.h"
#include "runtime/node/host.h"
#include "runtime/node/reconciler.h"

namespace panal::optimiser {
class Optimiser;
class ProgramLearner;
class Rescuer;
}  // namespace panal::optimiser

namespace panal::node {

/// What the three have seen and decided, as one report.
[[nodiscard]] nlohmann::json optimiser_report(const optimiser::Optimiser& optimiser,
                                              const optimiser::Rescuer& rescuer,
                                              const optimiser::ProgramLearner& programs);

/// The answer to `stats`: `only` 0 for all running desktops. Reads a handful of cgroup files each.
/// `optimiser`: optimiser_report().
[[nodiscard]] nlohmann::json statistics(Host& host, const std::string& cgroup_parent,
                                        const Reconciler& reconciler, const AgentHub& hub,
                                        nlohmann::json optimiser, DesktopId only);

}  // namespace panal::node
