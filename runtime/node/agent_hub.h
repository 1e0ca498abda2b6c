#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/log.h"
#include "runtime/agent/protocol.h"
#include "runtime/desktop/desktop.h"
#include "runtime/loop/loop.h"
#include "runtime/node/agent_link.h"

namespace panal::node {

/// What is known of a desktop's session, by its agent's word.
struct AgentState {
  bool connected = false;  ///< the agent talks to us
  agent::SessionState session = agent::SessionState::kNone;
  std::uint64_t attach = 0;  ///< the newest attach that the agent, or we, know of
  std::uint64_t idle_ms = 0;
  std::string reason;
  std::uint32_t windows = 0;  ///< that could be seen when its programs had settled
};

/// What nxagent is to listen for; texts were checked by whoever took them from outside.
struct ListenOrder {
  std::uint64_t attach = 0;
  std::string cookie, geometry, keyboard, link, client;
  bool fullscreen = false;
  bool warm = false;
};

/// The agents of all desktops of this node: one listening socket and at most one connection each.
///
/// AgentGate's calls are for worker threads (they wait for the loop, which must run); everything
/// else is for the loop's thread.
class AgentHub final : public desktop::AgentGate {
 public:
  struct Events {
    std::function<void(DesktopId, const AgentState&)> session;  ///< changed, or idle time did
    std::function<void(DesktopId)> settled;
  };

  /// For a connection to say hello, and to answer the first question after it where nothing has to
  /// be set up any more. Agents do both at once; who does not holds the place of the one that
  /// would.
  static constexpr std::chrono::milliseconds kPatience{10000};

  AgentHub(loop::Loop& loop, LoggerPtr log, std::chrono::milliseconds patience = kPatience);
  ~AgentHub() override;
  void set_events(Events events) { events_ = std::move(events); }

  // AgentGate
  Result<void> listen(const desktop::DesktopSpec& spec, const std::string& shared_dir) override;
  Result<void> wait_ready(DesktopId id, const Pidfd& init,
                          std::chrono::milliseconds timeout) override;
  Result<void> poweroff(DesktopId id, std::chrono::milliseconds grace) override;
  void close(DesktopId id) override;
  /// For an adopted desktop, whose agent comes back by itself: welcomes it whenever it does.
  void admit(DesktopId id);

  // On the loop's thread
  /// nullopt: not listening for this desktop.
  [[nodiscard]] std::optional<AgentState> state(DesktopId id) const;
  /// A number above all that were used. 0: no such desktop.
  [[nodiscard]] std::uint64_t next_attach(DesktopId id);
  /// Orders nxagent to listen; `done` comes once, not within this call: listening, or refused with
  /// the agent's reason (EBUSY), ETIMEDOUT, ENOTCONN, ECANCELED when a newer order came.
  void order_listen(DesktopId id, const ListenOrder& order, std::chrono::milliseconds timeout,
                    std::function<void(Result<void>)> done);
  [[nodiscard]] Result<void> suspend(DesktopId id);
  /// Whether somebody sees the desktop's screen, or may any moment; also when nobody can say.
  [[nodiscard]] bool in_use(DesktopId id) const;
  /// Shows the user a sentence. Errors: ENOTCONN.
  [[nodiscard]] Result<void> notice(DesktopId id, const std::string& words);

 private:
  struct Ready;
  struct Desk;
  using DeskPtr = std::shared_ptr<Desk>;

  template <typename Work>
  auto on_loop(Work work);
  [[nodiscard]] Result<void> open_socket(const desktop::DesktopSpec& spec,
                                         const std::string& shared_dir);
  [[nodiscard]] DeskPtr find(DesktopId id) const;
  void accept_soon(const DeskPtr& desk);
  void accept(const DeskPtr& desk);
  void take_connection(const DeskPtr& desk, UniqueFd connection);
  void on_frame(const DeskPtr& desk, const agent::Frame& frame);
  void on_hello(const DeskPtr& desk, const agent::Frame& frame);
  void welcome(const DeskPtr& desk);
  void answer_order(const DeskPtr& desk, Result<void> result);
  void changed(const DeskPtr& desk);

  loop::Loop& loop_;
  LoggerPtr log_;
  std::chrono::milliseconds patience_;
  Events events_;
  std::map<DesktopId, DeskPtr> desks_;
};

}  // namespace panal::node
