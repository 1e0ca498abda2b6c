#include "runtime/node/node_network.h"

#include <utility>

namespace panal::node {

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

void NodeNetwork::serve(std::function<Result<UniqueFd>(DesktopId)> network_of) {
  requests_.emplace(NetRequests::Parts{parts_.loop, *confinement_, *clerk_, std::move(network_of)});
  auto reader =
      PacketLogReader::open(parts_.loop, parts_.config, parts_.host.net_tally(), parts_.log);
  if (reader)
    packets_ = std::move(*reader);
  else
    parts_.log->warning("network_log", {{"why", reader.error().message()}});
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
    if (const auto kept = parts_.host.keep_uplink(); !kept)
      parts_.log->warning("uplink", {{"why", kept.error().message()}});
    if (const auto drops = parts_.host.network().drops()) parts_.host.net_tally().dropped(*drops);
  });
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
