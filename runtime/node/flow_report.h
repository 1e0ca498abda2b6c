#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ids.h"

namespace panal::node {

class AgentHub;
class NodeOptimiser;

/// What went to the client of one session.
struct SessionFlow {
  DesktopId desktop = 0;     ///< above 0
  std::uint64_t attach = 0;  ///< above 0: which session of it
  std::uint64_t bytes = 0;

  [[nodiscard]] bool operator==(const SessionFlow&) const = default;
};

/// One `flow` request of a broker's worker (runtime/control/control.h).
struct FlowReport {
  static constexpr std::size_t kMostSessions = 2000;
  static constexpr std::chrono::milliseconds kLongest{3'600'000};

  std::chrono::milliseconds over{0};  ///< 1 ms to kLongest
  std::vector<SessionFlow> sessions;  ///< at most kMostSessions

  [[nodiscard]] bool operator==(const FlowReport&) const = default;
};

/// All of it or nothing. Errors: EPROTO, a sentence.
[[nodiscard]] Result<FlowReport> parse_flow_report(const nlohmann::json& request);

/// Those of sessions that are connected now, by their agents' word: nobody can speak for one whose
/// number he does not know, and a tunnel that was taken over from says nothing more.
[[nodiscard]] std::vector<SessionFlow> flows_of_connected(const FlowReport& report,
                                                          const AgentHub& hub);
/// Tells the optimiser of those.
void tell_flows(const FlowReport& report, const AgentHub& hub, NodeOptimiser& optimiser);

}  // namespace panal::node
