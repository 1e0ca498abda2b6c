#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/node/attach_desk.h"
#include "runtime/node/control_server.h"
#include "runtime/node/flow_report.h"
#include "runtime/node/reconciler.h"
#include "runtime/node/statistics.h"
#include "runtime/optimiser/wake_plan.h"

namespace panal::node {

class TrialDesk;

/// What panald's socket can be asked (runtime/control/control.h), by whom.
class Requests {
 public:
  struct Parts {
    Reconciler& reconciler;
    AttachDesk& attaches;
    std::function<nlohmann::json()> status;
    std::function<nlohmann::json(const StatisticsRequest&)> statistics;
    std::function<nlohmann::json(bool as_families)> metrics;
    std::function<Result<void>(DesktopId)> suspend;
    std::function<bool(DesktopId, const optimiser::Treatment&)> treat;
    std::function<void(const FlowReport&)> flow;
    std::function<void(bool all_stopped)> exit;  ///< soon: panald ends
    /// Requests about the network; false: it knows no such request.
    std::function<bool(const CallerPtr&, const nlohmann::json&)> net = nullptr;
  };
  explicit Requests(Parts parts) : parts_(std::move(parts)) {}

  void handle(const CallerPtr& caller, const nlohmann::json& request);
  /// Who answers "trial"; must live as long. Nobody: it is not known.
  void trials_by(TrialDesk& desk) { trials_ = &desk; }

 private:
  void attach(const CallerPtr& caller, const nlohmann::json& request);
  void open(const CallerPtr& caller, const nlohmann::json& request);
  void flow(const CallerPtr& caller, const nlohmann::json& request);
  void suspend(const CallerPtr& caller, const nlohmann::json& request);
  void treat(const CallerPtr& caller, const nlohmann::json& request);
  void shut_down(const CallerPtr& caller, const nlohmann::json& request);

  Parts parts_;
  TrialDesk* trials_ = nullptr;
};

/// Fields of a request, with the default where the field is absent or of another type.
[[nodiscard]] std::string text_of(const nlohmann::json& request, const char* key);
[[nodiscard]] bool flag_of(const nlohmann::json& request, const char* key, bool otherwise);
[[nodiscard]] std::int64_t number_of(const nlohmann::json& request, const char* key);

}  // namespace panal::node
