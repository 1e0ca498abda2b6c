#include "runtime/node/node.h"

#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/node/agent_hub.h"
#include "runtime/node/attach_desk.h"
#include "runtime/node/confinement.h"
#include "runtime/node/control_server.h"
#include "runtime/node/cost_meter.h"
#include "runtime/node/guest_settings.h"
#include "runtime/node/host_operations.h"
#include "runtime/node/metrics.h"
#include "runtime/node/net_requests.h"
#include "runtime/node/node_optimiser.h"
#include "runtime/node/notify_thread.h"
#include "runtime/node/openings.h"
#include "runtime/node/prewarm_flow.h"
#include "runtime/node/prewarm_process.h"
#include "runtime/node/reconciler.h"
#include "runtime/node/requests.h"
#include "runtime/node/session_writer.h"
#include "runtime/node/statistics.h"
#include "runtime/node/version.h"
#include "runtime/node/worker_pool.h"

namespace panal::node {

using std::chrono::seconds;

namespace {

constexpr seconds kScanEvery{30};
constexpr seconds kLimitEvery{1};

}  // namespace

struct Node::Impl {
  Impl(const config::Config& settings, Programs beside, LoggerPtr logger)
      : config(settings), programs(std::move(beside)), log(std::move(logger)), hub(loop, log) {}
  ~Impl() {
    // Who may still call into the others first. The workers need the loop (the hub answers them
    // there), so it runs until they are done.
    notify.reset();
    if (control) {
      std::promise<void> gone;
      loop.post([this, &gone] {
        control.reset();
        gone.set_value();
      });
      if (thread.joinable()) gone.get_future().wait();
    }
    if (workers) workers->finish();
    if (clerk) clerk->finish();
    if (net_clerk) net_clerk->finish();
    loop.stop();
    if (thread.joinable()) thread.join();
    // Only now does nobody call into them any more.
    workers.reset();
    clerk.reset();
    net_clerk.reset();
    costs.reset();
    optimiser.reset();
    if (!remove_groups) return;
    if (const auto removed = host->remove_uplink(); !removed)
      log->warning("remove_uplink", {{"why", removed.error().message()}});
    if (const auto removed = host->remove_groups(); !removed)
      log->warning("remove_groups", {{"why", removed.error().message()}});
  }

  Result<void> open(seconds database_limit);
  Result<void> open_control();
  void wire();
  void begin(std::vector<Started> adopted);
  void tick_scan();
  void tick_limit();
  void confine();
  void on_started(DesktopId id);
  void on_ended(DesktopId id);
  void on_session(DesktopId id, const AgentState& state);
  void tell_network(DesktopId id, const AgentState& state);
  std::optional<Refusal> refusal(DesktopId id) const;
  Result<UniqueFd> open_nx(DesktopId id) const;
  nlohmann::json status() const;

  config::Config config;
  Programs programs;
  LoggerPtr log;
  std::unique_ptr<Host> host;
  loop::Loop loop;
  std::thread thread;
  AgentHub hub;
  std::unique_ptr<NodeOptimiser> optimiser;
  std::optional<CostMeter> costs;
  std::unique_ptr<Confinement> confinement;
  std::atomic<bool> confining{false};              ///< a look at the assignments is due
  std::map<DesktopId, SessionClass> network_told;  ///< whose packets come first
  std::optional<desktop::Lifecycle> lifecycle;
  std::optional<HostOperations> operations;
  std::unique_ptr<WorkerPool> clerk;
  std::unique_ptr<WorkerPool> net_clerk;  ///< rules may take longer than what the clerk does
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<NotifyThread> notify;
  std::optional<Reconciler> reconciler;
  std::optional<PrewarmFlow> prewarm;
  std::optional<AttachDesk> attaches;
  std::optional<SessionWriter> sessions;
  std::optional<NetRequests> net_requests;
  std::optional<Requests> requests;
  std::unique_ptr<ControlServer> control;
  std::optional<loop::Timer> scan_timer, limit_timer;
  std::optional<loop::Signals> signals;
  std::promise<void> stopped;
  bool stopping = false;
  bool remove_groups = false;
};

Result<void> Node::Impl::open(seconds database_limit) {
  PANAL_ASSIGN(host, Host::open(config, programs, log));
  PANAL_ASSIGN(confinement, Confinement::open({host->network(), config, log}));
  confinement->resume();
  PANAL_ASSIGN(optimiser, NodeOptimiser::open({config, *host, log}));
  costs.emplace(
      CostMeter::Parts{host->tree(), [this](DesktopId id) { return host->processes_of(id); }});
  lifecycle.emplace(host->parts(hub), config);
  PANAL_ASSIGN(const desktop::GuestSettings guest, guest_settings(config));
  operations.emplace(
      HostOperations::Parts{
          *lifecycle, hub, host->images(), host->slots(), host->cgroups(), log,
          [this](const store::Desktop& row) { return optimiser->sharing(row); },
          [this](DesktopId id) { optimiser->not_started(id); },
          [this](store::Store& store, DesktopId id) { return confinement->admit(store, id); },
          guest},
      config);
  const std::string conninfo = config.database_conninfo(store::kNodeRole);
  PANAL_ASSIGN(auto store, connect_within(conninfo, database_limit, *log));
  PANAL_TRY(store->register_node(config.node_name, kVersion, ::getpid()));
  PANAL_TRY(confinement->start(*store));
  const auto connect = [&conninfo] { return store::Store::connect(conninfo); };
  PANAL_ASSIGN(clerk, WorkerPool::open(1, connect));
  PANAL_ASSIGN(net_clerk, WorkerPool::open(1, connect));
  PANAL_ASSIGN(workers, WorkerPool::open(std::max(1U, config.parallel_starts), connect));

  thread = std::thread([this] { loop.run(); });
  wire();
  PANAL_ASSIGN(auto adopted, operations->take_over(*store));
  log->info("taken_over", {{"desktops", std::to_string(adopted.size())}});
  std::promise<Result<void>> begun;
  loop.post([this, &begun, &adopted] {
    begin(std::move(adopted));
    begun.set_value(open_control());
  });
  PANAL_TRY(begun.get_future().get());
  PANAL_ASSIGN(notify, NotifyThread::open(
                           std::move(store), "panal_node_" + config.node_name,
                           [this](const std::string& payload) {
                             // Nothing said: the connection is a new one.
                             if (payload.empty() || payload == store::kNetPayload) confine();
                             if (payload == store::kNetPayload) return;
                             loop.post([this, payload] { reconciler->wake(payload); });
                           },
                           log));
  // What was asked for before we listened.
  loop.post([this] { reconciler->scan(); });
  return {};
}

void Node::Impl::wire() {
  reconciler.emplace(
      Reconciler::Parts{loop, *operations, *workers, *clerk, config.node_name, log,
                        [this](const store::Desktop& row, std::uint32_t in_flight) {
                          optimiser->expect(reconciler->rows());
                          return optimiser->may_start(row, in_flight);
                        },
                        [this](std::chrono::nanoseconds took) { optimiser->start_ended(took); },
                        [this](DesktopId id) { return optimiser->killed(id); },
                        [this](DesktopId id) { return hub.in_use(id); },
                        [this](DesktopId id, const std::string& words) {
                          log->info("told", {{"desktop", kernel_name(id)}, {"what", words}});
                          if (const auto told = hub.notice(id, words); !told)
                            log->warning("notice", {{"why", told.error().message()}});
                        }},
      Reconciler::Events{[this](DesktopId id) { on_started(id); },
                         [this](DesktopId id) { on_ended(id); }});
  prewarm.emplace(
      PrewarmFlow::Parts{loop, hub, [this](DesktopId id) { return open_nx(id); },
                         [this](DesktopId id, UniqueFd nx,
                                const std::string& cookie) -> Result<std::unique_ptr<PrewarmRun>> {
                           PANAL_ASSIGN(const IdRange range,
                                        host->slots().range(operations->desktop_slots()));
                           // A user of its own for each, from a range that no desktop has.
                           const auto offset = static_cast<std::uint32_t>(id) % (range.count - 1);
                           return launch_prewarm(programs.prewarm, range.first + 1 + offset,
                                                 std::move(nx), cookie);
                         },
                         log},
      std::max(1U, config.parallel_starts));
  AttachDesk::Parts letting_in{loop, hub, [this](DesktopId id) { return refusal(id); },
                               [this](DesktopId id) { return open_nx(id); },
                               [this](DesktopId id) { prewarm->give_way(id); }};
  letting_in.wake = [this](DesktopId id, std::function<void()> done) {
    optimiser->wake(id, [this, done = std::move(done)] { loop.post(done); });
  };
  attaches.emplace(std::move(letting_in));
  sessions.emplace(loop, *clerk, log);
  net_requests.emplace(
      NetRequests::Parts{loop, *confinement, *net_clerk, [this](DesktopId id) -> Result<UniqueFd> {
                           const Pidfd* init = reconciler->init(id);
                           if (init == nullptr) return fail(ENOENT, "it does not run");
                           return desktop::Lifecycle::network_of(*init);
                         }});
  requests.emplace(Requests::Parts{
      *reconciler, *attaches, [this] { return status(); },
      [this](const StatisticsRequest& request) {
        return statistics({*host, config.cgroup_parent, *reconciler, hub, *costs},
                          optimiser->report(), request);
      },
      [this](bool as_families) {
        return metrics_answer({config.node_name, *host, *reconciler, *attaches, *optimiser},
                              as_families);
      },
      [this](DesktopId id) { return hub.suspend(id); },
      [this](DesktopId id, const optimiser::Treatment& treatment) {
        return optimiser->treat(id, treatment);
      },
      [this](const FlowReport& report) { tell_flows(report, hub, *optimiser); },
      [this](bool all_stopped) {
        remove_groups = all_stopped;
        if (!std::exchange(stopping, true)) stopped.set_value();
      },
      [this](const CallerPtr& caller, const nlohmann::json& request) {
        return net_requests->handle(caller, request);
      }});
  hub.set_events({[this](DesktopId id, const AgentState& state) { on_session(id, state); },
                  [this](DesktopId id) { prewarm->on_settled(id); }});
}

void Node::Impl::begin(std::vector<Started> adopted) {
  for (Started& one : adopted) reconciler->hold(std::move(one));
  scan_timer.emplace(loop);
  limit_timer.emplace(loop);
  tick_scan();
  tick_limit();
  signals.emplace(loop, std::vector<int>{SIGTERM, SIGINT}, [this](int) {
    if (!std::exchange(stopping, true)) stopped.set_value();
  });
}

Result<void> Node::Impl::open_control() {
  ControlServer::Options options;
  options.path = config.node_socket();
  if (const passwd* broker = ::getpwnam(config.broker_user.c_str())) {
    options.group = broker->pw_gid;
    options.peers.insert(broker->pw_uid);
  } else {
    log->warning("no_broker_user", {{"user", config.broker_user}});
  }
  PANAL_ASSIGN(control, ControlServer::open(
                            loop, std::move(options),
                            [this](const CallerPtr& caller, const nlohmann::json& request) {
                              requests->handle(caller, request);
                            },
                            log));
  return {};
}

void Node::Impl::tick_scan() {
  clerk->submit([this](store::Store& store) {
    if (auto told = store.register_node(config.node_name, kVersion, ::getpid()); !told)
      log->warning("heartbeat", {{"why", told.error().message()}});
  });
  confine();
  reconciler->scan();
  optimiser->expect(reconciler->rows());
  // Only at rest: what starts or ends has not taken, or given back, what it will.
  if (reconciler->at_rest(kScanEvery)) optimiser->learn(reconciler->running_ids().size());
  scan_timer->start(kScanEvery, [this] { tick_scan(); });
}

void Node::Impl::confine() {
  // Assignments to hundreds come as hundreds of notifications; one look sees all before it.
  if (confining.exchange(true)) return;
  net_clerk->submit([this](store::Store& store) {
    confining = false;
    if (const auto done = confinement->refresh(store); !done)
      log->warning("network_rules", {{"why", done.error().message()}});
    // After the rules, which say who may take it.
    if (const auto kept = host->keep_uplink(); !kept)
      log->warning("uplink", {{"why", kept.error().message()}});
  });
}

void Node::Impl::tick_limit() {
  // EBUSY: more is in use than the new limit allows; it is tried again.
  if (const auto limit = host->limit().update(); !limit && limit.error().code != EBUSY)
    log->warning("parent_limit", {{"why", limit.error().message()}});
  limit_timer->start(kLimitEvery, [this] { tick_limit(); });
}

void Node::Impl::on_started(DesktopId id) {
  optimiser->started(*reconciler->running(id), reconciler->init_pid(id));
  if (const auto state = hub.state(id)) optimiser->session(id, *state);
  if (config.prewarm) prewarm->begin(id);
}

void Node::Impl::on_ended(DesktopId id) {
  network_told.erase(id);
  prewarm->cancel(id);
  attaches->forget(id);
  sessions->forget(id);
  optimiser->ended(id);
}

void Node::Impl::tell_network(DesktopId id, const AgentState& state) {
  const bool somebody = state.session == agent::SessionState::kConnected ||
                        state.session == agent::SessionState::kResuming;
  const SessionClass now = somebody ? SessionClass::kActive : SessionClass::kDisconnected;
  const auto [told, first] = network_told.try_emplace(id, now);
  if (!first && std::exchange(told->second, now) == now) return;
  net_clerk->submit([this, id, now](store::Store&) {
    if (const auto done = host->network().set_session(id, now); !done)
      log->warning("network_rates", {{"why", done.error().message()}});
  });
}

void Node::Impl::on_session(DesktopId id, const AgentState& state) {
  tell_network(id, state);
  sessions->note(id, state);
  optimiser->session(id, state);
  prewarm->on_session(id, state);
}

std::optional<Refusal> Node::Impl::refusal(DesktopId id) const {
  if (reconciler->running(id) != nullptr) return std::nullopt;
  if (reconciler->busy(id))
    return Refusal{503, "Desktop " + std::to_string(id) + " is starting or stopping."};
  return Refusal{503, "Desktop " + std::to_string(id) + " does not run on this node."};
}

Result<UniqueFd> Node::Impl::open_nx(DesktopId id) const {
  const desktop::DesktopSpec* spec = reconciler->running(id);
  if (spec == nullptr) return fail(ENOENT, kernel_name(id) + " does not run");
  return lifecycle->open_nx_socket(id, spec->ids.first + spec->user.uid);
}

nlohmann::json Node::Impl::status() const {
  return {{"node", config.node_name},
          {"pid", ::getpid()},
          {"version", kVersion},
          {"running", reconciler->running_ids().size()},
          {"starting", reconciler->starting()},
          {"waiting", reconciler->waiting()},
          {"room", optimiser->room()},
          {"desktops", reconciler->states()}};
}

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::~Node() = default;

Result<std::unique_ptr<Node>> Node::open(const config::Config& config, const Programs& programs,
                                         LoggerPtr log, seconds database_limit) {
  auto impl = std::make_unique<Impl>(config, programs, std::move(log));
  PANAL_TRY(impl->open(database_limit));
  return std::unique_ptr<Node>(new Node(std::move(impl)));
}

void Node::run() { impl_->stopped.get_future().wait(); }

void Node::stop() {
  impl_->loop.post([impl = impl_.get()] {
    if (!std::exchange(impl->stopping, true)) impl->stopped.set_value();
  });
}

}  // namespace panal::node
