#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "runtime/node/guest_settings.h"
#include "runtime/node/metrics.h"
#include "runtime/node/node_impl.h"
#include "runtime/node/openings.h"
#include "runtime/node/prewarm_process.h"
#include "runtime/node/statistics.h"
#include "runtime/node/version.h"

namespace panal::node {

using std::chrono::seconds;

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
  reserve.emplace(config.reserve_file(), config.disk_reserve_bytes);
  homes.emplace(HomeKeeper::Parts{loop, *host, *reconciler, *clerk, config, log});
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

}  // namespace panal::node
