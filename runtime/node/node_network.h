#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>

#include "engine/model/session.h"
#include "runtime/node/agent_hub.h"
#include "runtime/node/confinement.h"
#include "runtime/node/host.h"
#include "runtime/node/net_requests.h"
#include "runtime/node/packet_log_reader.h"
#include "runtime/node/rules_watch.h"
#include "runtime/node/worker_pool.h"

namespace panal::node {

/// What a node does about its desktops' network while it runs: policies followed live, the way
/// outside kept, sessions told to the rates, the packet log written down, questions answered.
class NodeNetwork {
 public:
  struct Parts {
    loop::Loop& loop;
    Host& host;
    const config::Config& config;  ///< must outlive it
    LoggerPtr log;
  };
  /// What was in force before is in force again. Errors: EINVAL for subnets that are none.
  [[nodiscard]] static Result<std::unique_ptr<NodeNetwork>> open(Parts parts);
  ~NodeNetwork() { finish(); }
  NodeNetwork(const NodeNetwork&) = delete;
  NodeNetwork& operator=(const NodeNetwork&) = delete;

  /// The file's policies and the store's assignments; work is done by a thread from now on.
  [[nodiscard]] Result<void> start(store::Store& store, const WorkerPool::Connect& connect);
  /// `network_of`: the namespace of a desktop that runs; called on the loop's thread. `testers`:
  /// for work that waits for packets; finished before this is.
  void serve(std::function<Result<UniqueFd>(DesktopId)> network_of, WorkerPool& testers);
  /// Ends the work. The loop still runs; nothing but forget() may be called afterwards.
  void finish();

  /// Who has what may have changed. Any thread; a hundred calls make one look.
  void look();
  /// A desktop is about to get its link. Blocks; for workers.
  [[nodiscard]] Result<void> admit(store::Store& store, DesktopId id) {
    return confinement_->admit(store, id);
  }
  /// What follows is for the loop's thread.
  void tell(DesktopId id, const AgentState& state);
  void forget(DesktopId id) { told_.erase(id); }
  /// False: it knows no such request.
  [[nodiscard]] bool handle(const CallerPtr& caller, const nlohmann::json& request) {
    return requests_ && requests_->handle(caller, request);
  }

 private:
  explicit NodeNetwork(Parts parts) : parts_(std::move(parts)), again_(parts_.loop) {}
  void watch_host();
  /// As look(), but for the way outside alone.
  void look_at_uplink();
  void keep_uplink();

  Parts parts_;
  std::unique_ptr<Confinement> confinement_;
  std::atomic<bool> look_is_due_{false}, uplink_is_due_{false};
  std::atomic<bool> uplink_fails_{false};   ///< it is cut off
  loop::Timer again_;                       ///< looks at the uplink before its time
  std::map<DesktopId, SessionClass> told_;  ///< whose packets come first
  std::optional<NetRequests> requests_;
  std::unique_ptr<PacketLogReader> packets_;  ///< none: this kernel has no such log
  std::unique_ptr<RulesWatch> host_rules_;    ///< none: the host has none of ours
  std::unique_ptr<WorkerPool> clerk_;  ///< rules may take longer than what the node's clerk does
};

}  // namespace panal::node
