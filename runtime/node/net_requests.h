#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "engine/base/unique_fd.h"
#include "runtime/loop/loop.h"
#include "runtime/node/confinement.h"
#include "runtime/node/control_server.h"
#include "runtime/node/worker_pool.h"

namespace panal::node {

/// What panald can be asked about the desktops' network (runtime/control/control.h): net_show,
/// net_explain, net_test, net_apply, net_uplink. On the loop's thread; the work is done by others.
class NetRequests {
 public:
  struct Parts {
    loop::Loop& loop;
    Confinement& confinement;
    WorkerPool& clerk;
    /// Send packets and wait for them, 0.8 s each: rules that are to end something do not.
    WorkerPool& testers;
    /// The network namespace of a desktop that runs. Errors: ENOENT.
    std::function<Result<UniqueFd>(DesktopId)> network_of;
  };
  explicit NetRequests(Parts parts) : parts_(std::move(parts)) {}

  /// False: it knows no such request.
  [[nodiscard]] bool handle(const CallerPtr& caller, const nlohmann::json& request);

 private:
  using Work = std::function<Result<nlohmann::json>(store::Store&)>;
  void run(WorkerPool& workers, const CallerPtr& caller, Work work);
  void test(const CallerPtr& caller, const netpolicy::Query& query);

  Parts parts_;
};

}  // namespace panal::node
