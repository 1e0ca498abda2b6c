#include "runtime/node/node.h"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "runtime/node/node_impl.h"
#include "runtime/node/version.h"
#include "runtime/node/warm_plan.h"

namespace panal::node {

using std::chrono::seconds;

namespace {

constexpr seconds kScanEvery{30};
constexpr seconds kLimitEvery{1};
constexpr seconds kDiskEvery{5};

}  // namespace

Node::Impl::~Impl() {
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

Result<void> Node::Impl::remove_warm_group() const {
  auto group = kernel::Cgroup::open(host->cgroups(), config.cgroup_warm_group());
  if (!group && group.error().code == ENOENT) return {};
  if (!group) return tl::make_unexpected(std::move(group.error()));
  return group->destroy(seconds(2));
}

void Node::Impl::tick_scan() {
  clerk->submit([this](store::Store& store) {
    if (auto told = store.register_node(config.node_name, kVersion, ::getpid()); !told)
      log->warning("heartbeat", {{"why", told.error().message()}});
  });
  network->look();
  homes->renew();
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
  homes->give_up_lost();
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
  homes->started(id);
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
  homes->ended(id);
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
