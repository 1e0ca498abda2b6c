#include "runtime/node/session_writer.h"

#include <chrono>

namespace panal::node {

namespace {
constexpr std::chrono::milliseconds kGather{250};  // a suspend and resume within it are one write
}  // namespace

void SessionWriter::note(DesktopId id, const AgentState& state) {
  dirty_[id] = state;
  if (std::exchange(scheduled_, true)) return;
  timer_.start(kGather, [this] { flush(); });
}

void SessionWriter::flush() {
  auto states = std::exchange(dirty_, {});
  clerk_.submit([this, states = std::move(states)](store::Store& store) {
    for (const auto& [id, state] : states) {
      const auto written =
          store.observe_session(id, std::string(agent::to_string(state.session)), state.idle_ms);
      if (!written && !written.error().is_gone())
        log_->warning("observe_session", {{"why", written.error().message()}});
    }
    loop_.post([this] {
      scheduled_ = false;
      if (!dirty_.empty()) {
        scheduled_ = true;
        timer_.start(kGather, [this] { flush(); });
      }
    });
  });
}

}  // namespace panal::node
