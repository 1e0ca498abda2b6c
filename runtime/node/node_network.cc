#include "runtime/node/node_network.h"

#include <chrono>
#include <utility>

#include "netconfine/firewall/nft/events.h"

namespace panal::node {
namespace {

constexpr std::chrono::seconds kUplinkAgain{2};

}  // namespace

Result<std::unique_ptr<NodeNetwork>> NodeNetwork::open(Parts parts) {
  std::unique_ptr<NodeNetwork> network(new NodeNetwork(std::move(parts)));
  const Parts& own = network->parts_;
  PANAL_ASSIGN(network->confinement_, Confinement::open({own.host.network(), own.config, own.log}));
  network->confinement_->resume();
  return network;
}

Result<void> NodeNetwork::start(store::Store& store, const WorkerPool::Connect& connect) {
  PANAL_TRY(confinement_->start(store));
  PANAL_ASSIGN(clerk_, WorkerPool::open(1, connect));
  return {};
}

void NodeNetwork::serve(std::function<Result<UniqueFd>(DesktopId)> network_of,
                        WorkerPool& testers) {
  requests_.emplace(
      NetRequests::Parts{parts_.loop, *confinement_, *clerk_, testers, std::move(network_of)});
  auto reader =
      PacketLogReader::open(parts_.loop, parts_.config, parts_.host.net_tally(), parts_.log);
  if (reader)
    packets_ = std::move(*reader);
  else
    parts_.log->warning("network_log", {{"why", reader.error().message()}});
  watch_host();
}

// With the host's table goes what keeps its device from forwarding for others: that cannot wait for
// the next look.
void NodeNetwork::watch_host() {
  if (parts_.config.uplink != "veth") return;
  auto events = netconfine::open_nft_events();
  if (!events) {
    parts_.log->warning("uplink_watch", {{"why", events.error().message()}});
    return;
  }
  // Nothing passes while it is cut off; and each try to make it is a change of rules itself, which
  // would have another follow for ever.
  host_rules_ = RulesWatch::open(parts_.loop, std::move(*events), [this] {
    if (!uplink_fails_) look_at_uplink();
  });
}

void NodeNetwork::finish() {
  if (clerk_) clerk_->finish();
}

void NodeNetwork::look() {
  // Assignments to hundreds come as hundreds of notifications; one look sees all before it.
  if (look_is_due_.exchange(true)) return;
  clerk_->submit([this](store::Store& store) {
    look_is_due_ = false;
    if (const auto done = confinement_->refresh(store); !done)
      parts_.log->warning("network_rules", {{"why", done.error().message()}});
    // After the rules, which say who may take it.
    keep_uplink();
    if (const auto drops = parts_.host.network().drops()) parts_.host.net_tally().dropped(*drops);
  });
}

void NodeNetwork::look_at_uplink() {
  if (uplink_is_due_.exchange(true)) return;
  clerk_->submit([this](store::Store&) {
    uplink_is_due_ = false;
    keep_uplink();
  });
}

void NodeNetwork::keep_uplink() {
  const auto kept = parts_.host.keep_uplink();
  if (!kept) parts_.log->warning("uplink", {{"why", kept.error().message()}});
  if (uplink_fails_.exchange(!kept) == !kept) return;
  // What failed may have been a moment's matter, and everybody is cut off by it; what failed twice
  // waits for the next look(). Once it is there again: nobody listened to changes meanwhile.
  parts_.loop.post([this] { again_.start(kUplinkAgain, [this] { look_at_uplink(); }); });
}

void NodeNetwork::tell(DesktopId id, const AgentState& state) {
  const bool somebody = state.session == agent::SessionState::kConnected ||
                        state.session == agent::SessionState::kResuming;
  const SessionClass now = somebody ? SessionClass::kActive : SessionClass::kDisconnected;
  const auto [told, first] = told_.try_emplace(id, now);
  if (!first && std::exchange(told->second, now) == now) return;
  clerk_->submit([this, id, now](store::Store&) {
    if (const auto done = parts_.host.network().set_session(id, now); !done)
      parts_.log->warning("network_rates", {{"why", done.error().message()}});
  });
}

}  // namespace panal::node
