#include "runtime/node/prewarm_flow.h"

#include <fcntl.h>

#include <algorithm>

#include "runtime/node/cookie.h"

namespace panal::node {

using agent::SessionState;

namespace {
constexpr std::chrono::seconds kListenLimit{45};  // nxagent's first start on a crowded host
constexpr std::chrono::seconds kSettleLimit{60};
constexpr std::chrono::seconds kSuspendLimit{30};
constexpr std::chrono::seconds kGiveWayLimit{20};

/// Whether the agent still has the pre-warmer's link, or may get it yet.
bool has_link(SessionState state) {
  return state == SessionState::kListening || state == SessionState::kConnected ||
         state == SessionState::kSuspending;
}
}  // namespace

PrewarmFlow::Run* PrewarmFlow::find(DesktopId id) {
  const auto found = runs_.find(id);
  return found == runs_.end() ? nullptr : &found->second;
}

void PrewarmFlow::begin(DesktopId id) {
  wanted_.insert(id);
  begin_if_there(id);
}

void PrewarmFlow::begin_if_there(DesktopId id) {
  const auto state = parts_.hub.state(id);
  if (!state || !state->connected) return;  // an adopted one's agent is on its way
  wanted_.erase(id);
  waiting_.push_back(id);
  next();
}

void PrewarmFlow::next() {
  while (!waiting_.empty() && runs_.size() < at_once_) {
    const DesktopId id = waiting_.front();
    waiting_.pop_front();
    listen(id);
  }
}

void PrewarmFlow::listen(DesktopId id) {
  const auto state = parts_.hub.state(id);
  // Warm already (adopted), or a user was faster.
  if (!state || state->session != SessionState::kNone) return;
  auto cookie = make_cookie();
  if (!cookie) {
    parts_.log->warning("prewarm",
                        {{"desktop", kernel_name(id)}, {"why", cookie.error().message()}});
    return;
  }
  Run& run = runs_[id];
  run.cookie = *cookie;
  run.attach = parts_.hub.next_attach(id);
  run.timer = std::make_unique<loop::Timer>(parts_.loop);
  ListenOrder order;
  order.attach = run.attach;
  order.cookie = run.cookie;
  order.geometry = "1280x800";
  order.link = "lan";
  order.client = "linux";
  order.warm = true;
  parts_.hub.order_listen(id, order, kListenLimit,
                          [this, id, attach = run.attach](const Result<void>& result) {
                            on_listening(id, attach, result);
                          });
}

void PrewarmFlow::on_listening(DesktopId id, std::uint64_t attach, const Result<void>& result) {
  Run* run = find(id);
  if (run == nullptr || run->attach != attach) return;
  if (!result) return end(id, result.error().message());
  auto nx = parts_.open_nx(id);
  if (!nx) return end(id, nx.error().message());
  auto process = parts_.launch(id, std::move(*nx), run->cookie);
  if (!process) return end(id, process.error().message());
  run->process = std::move(*process);
  run->stage = Stage::kConnecting;
  UniqueFd watched(::fcntl(run->process->pidfd(), F_DUPFD_CLOEXEC, 0));
  if (watched) {
    run->watch = std::make_unique<loop::Descriptor>(parts_.loop, std::move(watched));
    run->watch->wait(loop::Ready::kReadable, [this, id] {
      if (Run* mine = find(id)) end(id, mine->process->why_ended());
    });
  }
  run->timer->start(kSettleLimit, [this, id] { end(id, "the programs did not settle in time"); });
}

void PrewarmFlow::on_session(DesktopId id, const AgentState& state) {
  if (wanted_.contains(id)) return begin_if_there(id);
  Run* run = find(id);
  if (run == nullptr) return;
  if (!state.connected) return end(id, "the agent went away");
  if (run->stage == Stage::kGivingWay) {
    if (!has_link(state.session)) cancel(id);
    return;
  }
  switch (state.session) {
    case SessionState::kConnected:
      if (run->stage == Stage::kConnecting) run->stage = Stage::kSettling;
      return;
    case SessionState::kSuspended:
      if (run->stage == Stage::kSuspending) return end(id, "");
      if (run->stage == Stage::kSettling) return end(id, "its link was lost: " + state.reason);
      return;
    case SessionState::kEnded:
    case SessionState::kNone:
      if (run->stage != Stage::kListening) return end(id, "the session ended: " + state.reason);
      return;
    default: return;
  }
}

void PrewarmFlow::on_settled(DesktopId id) {
  Run* run = find(id);
  if (run == nullptr || run->stage != Stage::kSettling) return;
  run->stage = Stage::kSuspending;
  // From now on its end is expected: the link goes.
  run->watch.reset();
  run->timer->start(kSuspendLimit, [this, id] { end(id, "the session did not suspend in time"); });
  if (const auto sent = parts_.hub.suspend(id); !sent) end(id, sent.error().message());
}

void PrewarmFlow::cancel(DesktopId id) {
  wanted_.erase(id);
  waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), id), waiting_.end());
  if (runs_.erase(id) == 0) return;
  parts_.log->debug("prewarm_cancelled", {{"desktop", kernel_name(id)}});
  parts_.loop.post([this] { next(); });
}

void PrewarmFlow::give_way(DesktopId id) {
  Run* run = find(id);
  if (run == nullptr || !run->process) return cancel(id);
  if (run->stage == Stage::kGivingWay) return;
  parts_.log->info("prewarm_gives_way", {{"desktop", kernel_name(id)}});
  run->stage = Stage::kGivingWay;
  run->watch.reset();
  run->timer->start(kGiveWayLimit, [this, id] { cancel(id); });
}

void PrewarmFlow::end(DesktopId id, const std::string& failure) {
  if (runs_.erase(id) == 0) return;
  if (failure.empty())
    parts_.log->info("prewarmed", {{"desktop", kernel_name(id)}});
  else
    parts_.log->warning("prewarm_failed", {{"desktop", kernel_name(id)}, {"why", failure}});
  parts_.loop.post([this] { next(); });
}

}  // namespace panal::node
