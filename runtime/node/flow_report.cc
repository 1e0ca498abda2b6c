#include "runtime/node/flow_report.h"

#include <nlohmann/json.hpp>
#include <string>

namespace panal::node {
namespace {

using nlohmann::json;

/// A whole number from `least` to `most`. JSON's are unsigned only where they have no sign.
bool number_in(const json& value, std::uint64_t least, std::uint64_t most, std::uint64_t& out) {
  if (!value.is_number_unsigned()) return false;
  out = value.get<std::uint64_t>();
  return out >= least && out <= most;
}

}  // namespace

Result<FlowReport> parse_flow_report(const json& request) {
  FlowReport report;
  const auto over = request.find("over_ms");
  std::uint64_t over_ms = 0;
  if (over == request.end() ||
      !number_in(*over, 1, static_cast<std::uint64_t>(FlowReport::kLongest.count()), over_ms))
    return fail(EPROTO, "flow: over_ms is no number of milliseconds up to an hour");
  report.over = std::chrono::milliseconds{over_ms};
  const auto sessions = request.find("sessions");
  if (sessions == request.end() || !sessions->is_array() ||
      sessions->size() > FlowReport::kMostSessions)
    return fail(EPROTO, "flow: sessions is no list of at most " +
                            std::to_string(FlowReport::kMostSessions));
  for (const json& one : *sessions) {
    SessionFlow flow;
    std::uint64_t desktop = 0;
    if (!one.is_array() || one.size() != 3 || !number_in(one[0], 1, INT64_MAX, desktop) ||
        !number_in(one[1], 1, UINT64_MAX, flow.attach) ||
        !number_in(one[2], 0, UINT64_MAX, flow.bytes))
      return fail(EPROTO, "flow: a session is not [desktop, attach, bytes]");
    flow.desktop = static_cast<DesktopId>(desktop);
    report.sessions.push_back(flow);
  }
  return report;
}

}  // namespace panal::node
