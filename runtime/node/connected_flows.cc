#include "runtime/node/agent_hub.h"
#include "runtime/node/flow_report.h"
#include "runtime/node/node_optimiser.h"

namespace panal::node {

std::vector<SessionFlow> flows_of_connected(const FlowReport& report, const AgentHub& hub) {
  std::vector<SessionFlow> out;
  for (const SessionFlow& one : report.sessions) {
    const auto state = hub.state(one.desktop);
    if (state && state->session == agent::SessionState::kConnected && state->attach == one.attach)
      out.push_back(one);
  }
  return out;
}

void tell_flows(const FlowReport& report, const AgentHub& hub, NodeOptimiser& optimiser) {
  for (const SessionFlow& one : flows_of_connected(report, hub))
    optimiser.flowed(one.desktop, one.bytes, report.over);
}

}  // namespace panal::node
