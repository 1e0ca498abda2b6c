#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/node/agent_hub.h"
#include "runtime/node/host.h"
#include "runtime/node/reconciler.h"

namespace panal::node {

/// The optimiser's view of a session: who pays and who never does.
[[nodiscard]] std::string_view session_class(const std::optional<AgentState>& state);

/// The answer to `stats`: `only` 0 for all running desktops. Reads a handful of cgroup files each.
[[nodiscard]] nlohmann::json statistics(Host& host, const std::string& cgroup_parent,
                                        const Reconciler& reconciler, const AgentHub& hub,
                                        DesktopId only);

}  // namespace panal::node
