#pragma once

#include <sys/types.h>

#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/node/agent_hub.h"
#include "runtime/node/attach_desk.h"
#include "runtime/node/control_server.h"
#include "runtime/node/cost_meter.h"
#include "runtime/node/home_keeper.h"
#include "runtime/node/host_operations.h"
#include "runtime/node/image_warmer.h"
#include "runtime/node/node.h"
#include "runtime/node/node_network.h"
#include "runtime/node/node_optimiser.h"
#include "runtime/node/notify_thread.h"
#include "runtime/node/prewarm_flow.h"
#include "runtime/node/reconciler.h"
#include "runtime/node/requests.h"
#include "runtime/node/session_writer.h"
#include "runtime/node/trial_desk.h"
#include "runtime/node/worker_pool.h"
#include "storage/quota/reserve.h"

namespace panal::node {

/// panald's parts. Whoever opens it puts them together; from begin() on all is done on the loop's
/// thread, and the destructor ends that.
struct Node::Impl {
  Impl(const config::Config& settings, Programs beside, LoggerPtr logger)
      : config(settings), programs(std::move(beside)), log(std::move(logger)), hub(loop, log) {}
  /// Ends who may call into the others first.
  ~Impl();

  // node_wiring.cc: puts it together.
  Result<void> open(std::chrono::seconds database_limit, const netconfine::OpenBackend& firewall);
  Result<void> open_control();
  Result<void> open_warmer();
  void wire();
  void open_trials();
  void begin(std::vector<Started> adopted);

  // node.cc: what it does by the clock ...
  void tick_scan();
  void tick_limit();
  void tick_disk();
  void read_defaults();
  void tell_warmer();
  // ... when something happens ...
  void on_started(DesktopId id);
  void on_ended(DesktopId id);
  void on_session(DesktopId id, const AgentState& state);
  void on_settled(DesktopId id);
  // ... when it is asked, and in the end.
  std::optional<Refusal> refusal(DesktopId id) const;
  Result<UniqueFd> open_nx(DesktopId id) const;
  nlohmann::json status() const;
  Result<void> remove_warm_group() const;

  config::Config config;
  Programs programs;
  LoggerPtr log;
  std::unique_ptr<Host> host;
  loop::Loop loop;
  std::thread thread;
  AgentHub hub;
  std::unique_ptr<NodeOptimiser> optimiser;
  std::optional<CostMeter> costs;
  std::unique_ptr<ImageWarmer> warmer;          ///< none: not wanted
  std::map<std::string, std::string> defaults;  ///< image -> version that new starts take
  std::unique_ptr<NodeNetwork> network;
  std::optional<desktop::Lifecycle> lifecycle;
  std::optional<HostOperations> operations;
  std::optional<TrialDesk> trials;
  std::unique_ptr<WorkerPool> clerk;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<NotifyThread> notify;
  std::optional<Reconciler> reconciler;
  std::optional<PrewarmFlow> prewarm;
  std::optional<AttachDesk> attaches;
  std::optional<SessionWriter> sessions;
  std::optional<Requests> requests;
  std::unique_ptr<ControlServer> control;
  std::optional<loop::Timer> scan_timer, limit_timer, disk_timer;
  std::optional<HomeKeeper> homes;
  std::optional<storage::Reserve> reserve;
  std::string disk_full;  ///< a sentence; empty: it is not
  std::optional<loop::Signals> signals;
  std::promise<void> stopped;
  bool stopping = false;
  bool remove_groups = false;
};

}  // namespace panal::node
