#include "runtime/node/node.h"

#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <future>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "engine/kernel/ksm.h"
#include "runtime/node/agent_hub.h"
#include "runtime/node/attach_desk.h"
#include "runtime/node/control_server.h"
#include "runtime/node/host_operations.h"
#include "runtime/node/merge_demand.h"
#include "runtime/node/metrics.h"
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
#include "runtime/optimiser/enclosing_groups.h"
#include "runtime/optimiser/gatekeeper.h"
#include "runtime/optimiser/optimiser.h"
#include "runtime/optimiser/program_learner.h"
#include "runtime/optimiser/rescuer.h"

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
    loop.stop();
    if (thread.joinable()) thread.join();
    // Only now does nobody call into them any more.
    workers.reset();
    clerk.reset();
    rescuer.reset();
    programs_apart.reset();
    optimiser.reset();
    if (!remove_groups) return;
    if (const auto removed = host->remove_groups(); !removed)
      log->warning("remove_groups", {{"why", removed.error().message()}});
  }

  Result<void> open(seconds database_limit);
  Result<void> open_control();
  void wire();
  void begin(std::vector<Started> adopted);
  void tick_scan();
  void tick_limit();
  void on_session(DesktopId id, const AgentState& state);
  desktop::MemorySharing sharing(const store::Desktop& row);
  std::vector<pid_t> pids_of(DesktopId id) const;
  void optimise(DesktopId id);
  void tell_session(DesktopId id, const AgentState& state);
  std::optional<optimiser::StartWait> may_start(const store::Desktop& row, std::uint32_t in_flight);
  void prewarm_if_ready(DesktopId id);
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
  std::unique_ptr<optimiser::Optimiser> optimiser;
  std::optional<optimiser::ProgramLearner> programs_apart;  ///< from merging
  std::unique_ptr<optimiser::Rescuer> rescuer;
  std::optional<optimiser::Gatekeeper> gatekeeper;
  std::optional<desktop::Lifecycle> lifecycle;
  std::optional<HostOperations> operations;
  std::unique_ptr<WorkerPool> clerk;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<NotifyThread> notify;
  std::optional<Reconciler> reconciler;
  std::optional<PrewarmFlow> prewarm;
  std::set<DesktopId> prewarm_wanted;
  std::optional<AttachDesk> attaches;
  std::optional<SessionWriter> sessions;
  std::optional<Requests> requests;
  std::unique_ptr<ControlServer> control;
  std::optional<loop::Timer> scan_timer, limit_timer;
  std::optional<loop::Signals> signals;
  std::promise<void> stopped;
  bool fixed_addresses = false;  ///< of the enlisted
  bool stopping = false;
  bool remove_groups = false;
};

Result<void> Node::Impl::open(seconds database_limit) {
  PANAL_ASSIGN(host, Host::open(config, programs, log));
  PANAL_ASSIGN(const optimiser::Settings settings, optimiser_settings(config, host->tree(), *log));
  fixed_addresses = settings.fixed_addresses;
  lifecycle.emplace(host->parts(hub), config);
  operations.emplace(
      HostOperations::Parts{*lifecycle, hub, host->images(), host->slots(), host->cgroups(), log,
                            [this](const store::Desktop& row) { return sharing(row); },
                            [this](DesktopId id) { optimiser->not_started(id); }},
      config);
  PANAL_ASSIGN(optimiser, optimiser::Optimiser::open(
                              {host->tree(), host->cgroups(), config.cgroup_parent,
                               config.state_dir + "/ksm.former", log, config.state_dir + "/hot"},
                              settings));
  programs_apart.emplace(
      optimiser::ProgramLearner::Parts{host->tree(), [this](DesktopId id) { return pids_of(id); },
                                       config.state_dir + "/ksm.programs", log});
  // It is learnt anew.
  if (auto loaded = programs_apart->load(); !loaded)
    log->warning("ksm_programs", {{"why", loaded.error().message()}});
  if (settings.enlists()) programs_apart->begin();
  PANAL_ASSIGN(rescuer, optimiser::Rescuer::open(
                            {host->tree(), host->cgroups(), *optimiser, config.cgroup_parent,
                             settings.shaver.reserve_bytes, config.desktop_memory_bytes, log}));
  PANAL_ASSIGN(auto groups, optimiser::enclosing_groups(host->cgroups(), config.cgroup_parent));
  gatekeeper.emplace(optimiser::Gatekeeper::Parts{host->tree(), settings.shaver.reserve_bytes,
                                                  std::max(1U, config.parallel_starts),
                                                  std::move(groups), settings.gate});
  const std::string conninfo = config.database_conninfo(store::kNodeRole);
  PANAL_ASSIGN(auto store, connect_within(conninfo, database_limit, *log));
  PANAL_TRY(store->register_node(config.node_name, kVersion, ::getpid()));
  const auto connect = [&conninfo] { return store::Store::connect(conninfo); };
  PANAL_ASSIGN(clerk, WorkerPool::open(1, connect));
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
                          return may_start(row, in_flight);
                        },
                        [this](std::chrono::nanoseconds took) { gatekeeper->ended(took); },
                        [this](DesktopId id) { return rescuer->killed(id); }},
      Reconciler::Events{[this](DesktopId id) {
                           const desktop::DesktopSpec* spec = reconciler->running(id);
                           rescuer->started(id, spec ? spec->limits.memory_bytes : std::nullopt);
                           optimise(id);
                           prewarm_wanted.insert(id);
                           prewarm_if_ready(id);
                         },
                         [this](DesktopId id) {
                           prewarm_wanted.erase(id);
                           prewarm->cancel(id);
                           attaches->forget(id);
                           sessions->forget(id);
                           // Frozen, it could not end in good order.
                           optimiser->thaw(id);
                           optimiser->ended(id);
                           programs_apart->ended(id);
                         }});
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
                               [this](DesktopId id) {
                                 prewarm_wanted.erase(id);
                                 prewarm->give_way(id);
                               }};
  letting_in.wake = [this](DesktopId id, std::function<void()> done) {
    optimiser->wake(id, [this, done = std::move(done)] { loop.post(done); });
  };
  attaches.emplace(std::move(letting_in));
  sessions.emplace(loop, *clerk, log);
  requests.emplace(Requests::Parts{
      *reconciler, *attaches, [this] { return status(); },
      [this](DesktopId only) {
        return statistics(*host, config.cgroup_parent, *reconciler, hub,
                          optimiser_report(*optimiser, *rescuer, *programs_apart), only);
      },
      [this](bool as_families) {
        return metrics_answer(
            {config.node_name, *host, *reconciler, *gatekeeper, *optimiser, *programs_apart},
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
  reconciler->scan();
  optimiser->expect(merge_demand(reconciler->rows()));
  // Only at rest: what starts or ends has not taken, or given back, what it will.
  if (reconciler->at_rest(kScanEvery)) gatekeeper->learn(reconciler->running_ids().size());
  scan_timer->start(kScanEvery, [this] { tick_scan(); });
}

void Node::Impl::tick_limit() {
  // EBUSY: more is in use than the new limit allows; it is tried again.
  if (const auto limit = host->limit().update(); !limit && limit.error().code != EBUSY)
    log->warning("parent_limit", {{"why", limit.error().message()}});
  limit_timer->start(kLimitEvery, [this] { tick_limit(); });
}

void Node::Impl::on_session(DesktopId id, const AgentState& state) {
  sessions->note(id, state);
  tell_session(id, state);
  prewarm->on_session(id, state);
  prewarm_if_ready(id);
}

desktop::MemorySharing Node::Impl::sharing(const store::Desktop& row) {
  const bool enlisted = optimiser->enlist(row.id, {row.tenant, row.trust}, row.share_memory);
  return {enlisted, enlisted && fixed_addresses, row.trust,
          enlisted ? programs_apart->leave_out(row.image) : std::vector<std::string>()};
}

/// For any thread.
std::vector<pid_t> Node::Impl::pids_of(DesktopId id) const {
  const auto group =
      kernel::Cgroup::open(host->cgroups(), config.cgroup_parent + "/" + kernel_name(id));
  return group ? group->pids().value_or(std::vector<pid_t>()) : std::vector<pid_t>();
}

void Node::Impl::optimise(DesktopId id) {
  // The kernel knows best: one that a former panald started may differ from what is asked of new
  // ones.
  // Kernels before 6.15 do not say it in so many words, but keep book only of who is enlisted.
  const auto merging = kernel::read_ksm_process(host->tree(), reconciler->init_pid(id));
  const desktop::DesktopSpec* spec = reconciler->running(id);
  if (spec == nullptr) return;
  const bool enlisted =
      spec->sharing.merge || (merging && (merging->merge_any || merging->rmap_items > 0));
  optimiser->started(id, {spec->user.tenant, spec->sharing.trust}, enlisted);
  if (enlisted) programs_apart->started(id, spec->image);
  if (const auto state = hub.state(id)) tell_session(id, *state);
}

void Node::Impl::tell_session(DesktopId id, const AgentState& state) {
  optimiser->session(id, state.session == agent::SessionState::kConnected, state.idle_ms);
}

std::optional<optimiser::StartWait> Node::Impl::may_start(const store::Desktop& row,
                                                          std::uint32_t in_flight) {
  // Who gets the place in KSM depends on who else is to start.
  optimiser->expect(merge_demand(reconciler->rows()));
  if (auto closed = rescuer->closed()) return optimiser::StartWait{std::move(*closed), true};
  return gatekeeper->ask(row.image, in_flight);
}

void Node::Impl::prewarm_if_ready(DesktopId id) {
  if (!config.prewarm || prewarm_wanted.count(id) == 0 || reconciler->running(id) == nullptr)
    return;
  const auto state = hub.state(id);
  if (!state || !state->connected) return;  // an adopted one's agent is on its way
  prewarm_wanted.erase(id);
  prewarm->begin(id);
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
          {"room", gatekeeper->room()},
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
