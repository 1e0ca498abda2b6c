#include "runtime/node/node.h"

#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "runtime/desktop/places.h"
#include "runtime/node/agent_hub.h"
#include "runtime/node/attach_desk.h"
#include "runtime/node/control_server.h"
#include "runtime/node/cost_meter.h"
#include "runtime/node/guest_settings.h"
#include "runtime/node/home_watch.h"
#include "runtime/node/host_operations.h"
#include "runtime/node/image_warmer.h"
#include "runtime/node/lease_watch.h"
#include "runtime/node/metrics.h"
#include "runtime/node/node_network.h"
#include "runtime/node/node_optimiser.h"
#include "runtime/node/notify_thread.h"
#include "runtime/node/openings.h"
#include "runtime/node/prewarm_flow.h"
#include "runtime/node/prewarm_process.h"
#include "runtime/node/reconciler.h"
#include "runtime/node/requests.h"
#include "runtime/node/session_writer.h"
#include "runtime/node/statistics.h"
#include "runtime/node/trial_desk.h"
#include "runtime/node/version.h"
#include "runtime/node/worker_pool.h"
#include "storage/quota/reserve.h"

namespace panal::node {

using std::chrono::seconds;

namespace {

constexpr seconds kScanEvery{30};
constexpr seconds kLimitEvery{1};
constexpr seconds kDiskEvery{5};
constexpr seconds kHomesEvery{15};

}  // namespace

struct Node::Impl {
  Impl(const config::Config& settings, Programs beside, LoggerPtr logger)
      : config(settings), programs(std::move(beside)), log(std::move(logger)), hub(loop, log) {}
  ~Impl() {
    if (homes) homes->stop();
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
    if (trials) trials->finish();
    if (workers) workers->finish();
    if (clerk) clerk->finish();
    if (network) network->finish();
    loop.stop();
    if (thread.joinable()) thread.join();
    // Only now does nobody call into them any more.
    workers.reset();
    clerk.reset();
    network.reset();
    costs.reset();
    optimiser.reset();
    warmer.reset();
    if (!remove_groups) return;
    if (const auto removed = remove_warm_group(); !removed)
      log->warning("remove_groups", {{"why", removed.error().message()}});
    if (const auto removed = host->remove_uplink(); !removed)
      log->warning("remove_uplink", {{"why", removed.error().message()}});
    if (const auto removed = host->remove_groups(); !removed)
      log->warning("remove_groups", {{"why", removed.error().message()}});
  }

  Result<void> open(seconds database_limit, const netconfine::OpenBackend& firewall);
  Result<void> open_control();
  Result<void> open_warmer();
  Result<void> remove_warm_group() const;
  void wire();
  void open_trials();
  void begin(std::vector<Started> adopted);
  void tick_scan();
  void tick_limit();
  void tick_disk();
  void renew_homes();
  void on_renewed(const std::map<DesktopId, pid_t>& had,
                  std::chrono::steady_clock::time_point begun,
                  const Result<std::set<DesktopId>>& kept);
  void give_up_those_lost();
  void on_started(DesktopId id);
  void on_ended(DesktopId id);
  void on_session(DesktopId id, const AgentState& state);
  void on_settled(DesktopId id);
  void read_defaults();
  void tell_warmer();
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
  std::unique_ptr<HomeWatch> homes;  ///< only where they may hang
  std::optional<LeaseWatch> leases;
  std::map<DesktopId, std::string> lost;  ///< whose home is lost, and why; until they are ended
  std::optional<storage::Reserve> reserve;
  std::string disk_full;  ///< a sentence; empty: it is not
  std::optional<loop::Signals> signals;
  std::promise<void> stopped;
  bool stopping = false;
  bool remove_groups = false;
};

Result<void> Node::Impl::open(seconds database_limit, const netconfine::OpenBackend& firewall) {
  PANAL_ASSIGN(host, Host::open(config, programs, log, firewall));
  PANAL_ASSIGN(network, NodeNetwork::open({loop, *host, config, log}));
  PANAL_ASSIGN(optimiser, NodeOptimiser::open({config, *host, log}));
  PANAL_TRY(open_warmer());
  costs.emplace(
      CostMeter::Parts{host->tree(), [this](DesktopId id) { return host->processes_of(id); }});
  lifecycle.emplace(host->parts(hub), config);
  PANAL_ASSIGN(const desktop::GuestSettings guest, guest_settings(config));
  operations.emplace(
      HostOperations::Parts{
          *lifecycle, hub, host->images(), host->slots(), host->cgroups(), log,
          [this](const store::Desktop& row) { return optimiser->sharing(row); },
          [this](DesktopId id) { optimiser->not_started(id); },
          [this](store::Store& store, DesktopId id) { return network->admit(store, id); }, guest,
          &host->roots()},
      config);
  const std::string conninfo = config.database_conninfo(store::kNodeRole);
  PANAL_ASSIGN(auto store, connect_within(conninfo, database_limit, *log));
  PANAL_TRY(store->register_node(config.node_name, kVersion, ::getpid()));
  const auto connect = [&conninfo] { return store::Store::connect(conninfo); };
  PANAL_ASSIGN(clerk, WorkerPool::open(1, connect));
  PANAL_TRY(network->start(*store, connect));
  PANAL_ASSIGN(workers, WorkerPool::open(std::max(1U, config.parallel_starts), connect));

  thread = std::thread([this] { loop.run(); });
  wire();
  open_trials();
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
                             if (payload.empty() || payload == store::kNetPayload) network->look();
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
                        [this](const store::Desktop& row,
                               std::uint32_t in_flight) -> std::optional<optimiser::StartWait> {
                          if (!disk_full.empty())
                            return optimiser::StartWait{disk_full, true, "disk"};
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
                           PANAL_ASSIGN(const IdRange range, host->slots().for_prewarmers());
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
  network->serve(
      [this](DesktopId id) -> Result<UniqueFd> {
        const Pidfd* init = reconciler->init(id);
        if (init == nullptr) return fail(ENOENT, "it does not run");
        return desktop::Lifecycle::network_of(*init);
      },
      *workers);
  requests.emplace(
      Requests::Parts{*reconciler, *attaches, [this] { return status(); },
                      [this](const StatisticsRequest& request) {
                        return statistics({*host, config.cgroup_parent, *reconciler, hub, *costs},
                                          optimiser->report(), request);
                      },
                      [this](bool as_families) {
                        return metrics_answer({config.node_name, *host, *reconciler, *attaches,
                                               *optimiser, warmer.get(), !disk_full.empty()},
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
                        return network->handle(caller, request);
                      }});
  hub.set_events({[this](DesktopId id, const AgentState& state) { on_session(id, state); },
                  [this](DesktopId id) {
                    if (id == kTrialDesktop) return trials->on_settled(hub.state(id)->windows);
                    on_settled(id);
                  }});
}

Result<void> Node::Impl::open_warmer() {
  if (!config.warm_images) return {};
  PANAL_ASSIGN(warmer,
               ImageWarmer::open({host->tree(), host->images(), config.state_dir + "/warm",
                                  programs.warm, config.cgroup_warm_group(),
                                  config.memory_reserve_bytes, config.warm_most_bytes, log}));
  return {};
}

Result<void> Node::Impl::remove_warm_group() const {
  auto group = kernel::Cgroup::open(host->cgroups(), config.cgroup_warm_group());
  if (!group && group.error().code == ENOENT) return {};
  if (!group) return tl::make_unexpected(std::move(group.error()));
  return group->destroy(seconds(2));
}

void Node::Impl::open_trials() {
  trials.emplace(TrialDesk::Parts{
      loop, hub, host->parts(hub), config, host->images(),
      [this](const storage::VersionManifest& version) { return operations->trial_spec(version); },
      [this](UniqueFd nx, const std::string& cookie) -> Result<agent::Prewarm> {
        PANAL_ASSIGN(const IdRange range, host->slots().for_prewarmers());
        agent::Prewarm::Spec spec;
        spec.program = programs.prewarm;
        spec.uid = spec.gid =
            range.first + 1 + static_cast<std::uint32_t>(kTrialDesktop % (range.count - 1));
        spec.nx = std::move(nx);
        spec.cookie = cookie;
        spec.timeout = seconds(120);
        spec.pictures = true;
        return agent::Prewarm::start(std::move(spec));
      },
      log});
  // What cannot be removed now is tried again by the next trial.
  if (const auto cleared = trials->clear(); !cleared)
    log->warning("trial_left", {{"why", cleared.error().message()}});
  requests->trials_by(*trials);
}

void Node::Impl::begin(std::vector<Started> adopted) {
  leases.emplace(seconds(config.homes_lease_seconds), std::chrono::steady_clock::now());
  reserve.emplace(config.reserve_file(), config.disk_reserve_bytes);
  if (storage::HomeChildren* children = host->home_children()) {
    const auto probe = [children, dir = config.homes_dir](const std::vector<std::string>& paths) {
      storage::home_call::Call call;
      call.verb = storage::home_call::Verb::kProbe;
      call.homes_dir = dir;
      call.words = paths;
      return children->ask(call);
    };
    const auto tell = [this](DesktopId id, const std::string& why) {
      loop.post([this, id, why] { lost[id] = why; });
    };
    storage::GuardedHomeStore* guarded = host->guarded_homes();
    homes = std::make_unique<HomeWatch>(HomeWatch::Parts{
        config.homes_dir, seconds(config.homes_lost_seconds), probe, tell, log,
        [guarded] { return guarded->left(); }, [guarded] { return guarded->unlock_left(); }});
    homes->start(kHomesEvery);
  }
  for (Started& one : adopted) reconciler->hold(std::move(one));
  scan_timer.emplace(loop);
  limit_timer.emplace(loop);
  disk_timer.emplace(loop);
  tick_scan();
  tick_limit();
  tick_disk();
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
  network->look();
  renew_homes();
  reconciler->scan();
  read_defaults();
  optimiser->expect(reconciler->rows());
  // Only at rest: what starts or ends has not taken, or given back, what it will.
  if (reconciler->at_rest(kScanEvery)) optimiser->learn(reconciler->running_ids().size());
  scan_timer->start(kScanEvery, [this] { tick_scan(); });
}

void Node::Impl::tick_limit() {
  // EBUSY: more is in use than the new limit allows; it is tried again.
  if (const auto limit = host->limit().update(); !limit && limit.error().code != EBUSY)
    log->warning("parent_limit", {{"why", limit.error().message()}});
  if (reconciler->waiting() + reconciler->starting() >= WarmVersion::kStorm) tell_warmer();
  give_up_those_lost();
  limit_timer->start(kLimitEvery, [this] { tick_limit(); });
}

void Node::Impl::tick_disk() {
  const auto state = reserve->look();
  if (!state) {
    log->warning("disk_reserve", {{"why", state.error().message()}});
  } else if (state->full != !disk_full.empty()) {
    disk_full = !state->full ? std::string()
                             : "the disk of " + config.state_dir + " is full (" +
                                   std::to_string(state->free_bytes >> 20U) +
                                   " MiB left, the reserve is used up): free some room there";
    if (state->full)
      log->error("disk_full", {{"why", disk_full}});
    else
      log->info("disk_has_room", {{"mib", std::to_string(state->free_bytes >> 20U)}});
  }
  disk_timer->start(kDiskEvery, [this] { tick_disk(); });
}

void Node::Impl::renew_homes() {
  const auto now = std::chrono::steady_clock::now();
  // With their inits: one that is started anew meanwhile has another lease.
  std::map<DesktopId, pid_t> had;
  for (const DesktopId id : reconciler->running_ids())
    if (reconciler->running(id)->home_leased) had[id] = reconciler->init_pid(id);
  if (leases->must_let_go(now))
    for (const auto& [id, init] : had)
      lost.try_emplace(id,
                       "the database has not answered for too long: another node may have been "
                       "given the home");
  clerk->submit([this, had, now](store::Store& store) {
    const auto kept = std::make_shared<Result<std::set<DesktopId>>>(
        store.homes().renew(config.node_name, seconds(config.homes_lease_seconds)));
    loop.post([this, had, now, kept] { on_renewed(had, now, *kept); });
  });
}

void Node::Impl::on_renewed(const std::map<DesktopId, pid_t>& had,
                            std::chrono::steady_clock::time_point begun,
                            const Result<std::set<DesktopId>>& kept) {
  if (!kept) return log->warning("renew_homes", {{"why", kept.error().message()}});
  leases->renewed(begun);
  for (const auto& [id, init] : had)
    if (!kept->contains(id) && reconciler->init_pid(id) == init)
      lost.try_emplace(id,
                       "the home was given to somebody else: it was unlocked, or its lease ran "
                       "out while this node could not renew it");
}

void Node::Impl::give_up_those_lost() {
  for (auto one = lost.begin(); one != lost.end();) {
    const bool done =
        reconciler->running(one->first) == nullptr || reconciler->give_up(one->first, one->second);
    one = done ? lost.erase(one) : std::next(one);
  }
}

/// What new starts take may have changed.
void Node::Impl::read_defaults() {
  if (!warmer) return;
  clerk->submit([this](store::Store& store) {
    auto images = store.images();
    if (!images) {
      log->warning("images", {{"why", images.error().message()}});
      return;
    }
    loop.post([this, images = std::move(*images)] {
      defaults.clear();
      for (const store::Image& image : images) defaults[image.name] = image.default_version;
      tell_warmer();
    });
  });
}

void Node::Impl::tell_warmer() {
  if (!warmer) return;
  auto demands = warm_demands(reconciler->rows(), defaults);
  // Copies and snapshots have pages of their own; those of the version would help nobody.
  std::erase_if(demands,
                [this](const WarmDemand& demand) { return !host->shares_pages(demand.image); });
  warmer->tell(std::move(demands));
}

void Node::Impl::on_settled(DesktopId id) {
  prewarm->on_settled(id);
  const desktop::DesktopSpec* spec = reconciler->running(id);
  if (warmer && spec != nullptr) warmer->settled(spec->version_root);
}

void Node::Impl::on_started(DesktopId id) {
  if (homes) homes->add(id, desktop::places_of(config, id).home);
  const desktop::DesktopSpec* spec = reconciler->running(id);
  const auto state = hub.state(id);
  const bool heard = state && state->connected;  // an adopted one's agent is on its way
  optimiser->started(*spec, reconciler->init_pid(id), heard);
  if (warmer) warmer->started(spec->version_root);
  if (heard) optimiser->session(id, *state);
  if (config.prewarm) prewarm->begin(id);
}

void Node::Impl::on_ended(DesktopId id) {
  network->forget(id);
  prewarm->cancel(id);
  attaches->forget(id);
  sessions->forget(id);
  optimiser->ended(id);
  if (homes) homes->remove(id);
}

void Node::Impl::on_session(DesktopId id, const AgentState& state) {
  if (id == kTrialDesktop) return trials->on_session(state);
  network->tell(id, state);
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
                                         LoggerPtr log, seconds database_limit,
                                         const netconfine::OpenBackend& firewall) {
  auto impl = std::make_unique<Impl>(config, programs, std::move(log));
  PANAL_TRY(impl->open(database_limit, firewall));
  return std::unique_ptr<Node>(new Node(std::move(impl)));
}

void Node::run() { impl_->stopped.get_future().wait(); }

void Node::stop() {
  impl_->loop.post([impl = impl_.get()] {
    if (!std::exchange(impl->stopping, true)) impl->stopped.set_value();
  });
}

}  // namespace panal::node
