#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "engine/base/unique_fd.h"
#include "runtime/loop/loop.h"
#include "runtime/node/agent_hub.h"
#include "runtime/optimiser/tally.h"

namespace panal::node {

/// A "no", with an HTTP-like status and a sentence.
struct Refusal {
  int status = 503;
  std::string sentence;
};
template <typename T>
using Answer = tl::expected<T, Refusal>;

struct AttachRequest {
  DesktopId desktop = 0;
  std::string geometry, keyboard, link, client;  ///< empty: the agent's choice
  bool fullscreen = false;
  bool takeover = true;
};
/// nullopt when all of it may be passed on to an agent.
[[nodiscard]] std::optional<std::string> fault_of(const AttachRequest& request);

struct Granted {
  std::uint64_t attach = 0;
  std::string cookie;
};

/// Lets users in: one attach at a time per desktop, a later one takes over. On the loop's thread.
class AttachDesk {
 public:
  struct Parts {
    loop::Loop& loop;
    AgentHub& hub;
    /// nullopt: it runs; else why not, with 404 or 503.
    std::function<std::optional<Refusal>(DesktopId)> refusal;
    std::function<Result<UniqueFd>(DesktopId)> open_nx;
    std::function<void(DesktopId)> cancel_prewarm;
    std::chrono::milliseconds agent_limit{10000};   ///< for an agent to come back to a new panald
    std::chrono::milliseconds listen_limit{45000};  ///< suspend the old link, wake nxagent
    /// Gives it its memory back and lets it run, then calls the function on the loop's thread.
    /// None: nothing is ever taken.
    std::function<void(DesktopId, std::function<void()>)> wake = nullptr;
  };
  explicit AttachDesk(Parts parts) : parts_(std::move(parts)) {}

  /// `done` comes once, not within this call.
  void attach(const AttachRequest& request, std::function<void(const std::string&)> progress,
              std::function<void(Answer<Granted>)> done);
  /// The connected NX socket of a granted attach; once.
  [[nodiscard]] Answer<UniqueFd> open(DesktopId desktop, std::uint64_t attach);
  /// The desktop has ended.
  void forget(DesktopId desktop);

  /// Answers to attach(): metrics::kAttachAnswers.
  [[nodiscard]] const optimiser::Counts& answers() const { return answers_; }

 private:
  struct Current {
    std::uint64_t attach = 0;  ///< 0: waiting for the agent
    std::uint64_t number = 0;  ///< of the request, over all desktops
    bool granted = false;
    bool opened = false;
    std::function<void(Answer<Granted>)> done;
    std::function<void(const std::string&)> progress;
    std::unique_ptr<loop::Timer> timer;
    std::chrono::steady_clock::time_point until;
  };

  void wake(const AttachRequest& request);
  void order(const AttachRequest& request);
  void answer(DesktopId desktop, Answer<Granted> answer);
  void count(int status);

  Parts parts_;
  std::map<DesktopId, Current> current_;
  std::uint64_t requests_ = 0;
  optimiser::Counts answers_;
};

}  // namespace panal::node
