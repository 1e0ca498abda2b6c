#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "runtime/agent/prewarm.h"
#include "runtime/desktop/lifecycle.h"
#include "runtime/loop/loop.h"
#include "runtime/node/agent_hub.h"
#include "runtime/node/trial_run.h"

namespace panal::node {

/// The number of a node's one throw-away desktop, past all that the store ever gives.
inline constexpr DesktopId kTrialDesktop = 2'000'000'000;

/// A trial's desktop on this host. Its calls are for one thread, which is not the loop's; what the
/// hub tells comes on the loop's.
class LiveTrial final : public TrialHands {
 public:
  struct Parts {
    loop::Loop& loop;
    AgentHub& hub;
    desktop::Lifecycle& lifecycle;  ///< with a trial's home and network
    /// A client with a screen, connected to the desktop's nxagent, under ids of its own.
    std::function<Result<agent::Prewarm>(UniqueFd nx, const std::string& cookie)> client;
    LoggerPtr log;
  };
  /// Of `spec` the id is kTrialDesktop.
  LiveTrial(Parts parts, desktop::DesktopSpec spec, std::string state_dir)
      : parts_(std::move(parts)), spec_(std::move(spec)), state_dir_(std::move(state_dir)) {}

  Result<void> start() override;
  Result<void> show() override;
  Result<std::uint32_t> settle() override;
  Result<agent::Picture> picture() override;
  Result<void> wait(std::chrono::milliseconds span) override;
  Result<void> end() override;

  // From any thread
  void on_session(const AgentState& state);
  void on_settled(std::uint32_t windows);
  void call_off();

 private:
  using Clock = std::chrono::steady_clock;
  /// Why it cannot go on; nothing: it can.
  [[nodiscard]] std::optional<Error> trouble();
  [[nodiscard]] Result<void> listen(const std::string& cookie);

  Parts parts_;
  desktop::DesktopSpec spec_;
  std::string state_dir_;
  std::optional<agent::Prewarm> client_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::uint32_t> windows_;
  bool shown_ = false;  ///< a client is to see it: its session must live from now on
  bool called_off_ = false;
  std::string ended_;  ///< why its session did
};

}  // namespace panal::node
