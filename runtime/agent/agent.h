#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/unique_fd.h"
#include "runtime/agent/host_link.h"
#include "runtime/agent/notice.h"
#include "runtime/agent/nx_control.h"
#include "runtime/agent/screen.h"
#include "runtime/agent/user.h"
#include "runtime/session/machine.h"

namespace panal::agent {

/// The desktop's init: reaps, talks to panald, keeps nxagent and the session's programs.
/// Single-threaded; one poll(2) without time-out while nothing is under way.
class Agent {
 public:
  explicit Agent(std::string host_socket) : link_(std::move(host_socket)) {}

  /// Runs until poweroff. Returns the exit status. Errors: ENOMEM and the like at start.
  [[nodiscard]] Result<int> run();

 private:
  using Moment = session::Moment;
  enum class Off { kNo, kPrograms, kNx, kRest, kDone };

  // agent.cc: the loop
  [[nodiscard]] Result<void> open_signals();
  void wait_and_dispatch();
  [[nodiscard]] std::optional<Moment> next_deadline() const;
  void on_signals();
  void reap();
  void on_timers();

  // agent_host.cc: frames
  void say_hello();
  void on_frame(const Frame& frame);
  void on_welcome(const Frame& frame);
  void on_listen(const Frame& frame);
  void on_set(const Frame& frame);
  void on_notice(const Frame& frame);
  void send_status();

  // agent_session.cc: what the machine orders
  void run_steps(const session::Steps& steps);
  void run_step(const session::Step& step);
  void start_nx(const session::Step& step, bool resume);
  void start_programs();
  void read_programs();
  void check_idle();
  void check_settled();

  // agent_poweroff.cc
  void begin_poweroff(std::chrono::milliseconds grace, const std::string& reason);
  void advance_poweroff();

  HostLink link_;
  UniqueFd signals_;
  std::optional<User> user_;
  session::Machine machine_;
  NxControl nx_;
  AttachRequest wanted_;  ///< the newest listen
  Child programs_;
  SessionLog programs_log_;
  Screen screen_;
  Notice notice_;

  std::optional<Moment> reconnect_at_;
  std::optional<Moment> idle_at_;
  std::optional<Moment> settle_at_;
  std::optional<Moment> notice_until_;
  bool idle_told_ = false;
  Moment settle_until_{0};
  Moment windows_since_{0};
  int windows_ = 0;

  Off off_ = Off::kNo;
  Moment off_begun_{0};
  Moment off_grace_{0};
  std::string off_reason_;
};

/// A monotonic clock.
[[nodiscard]] session::Moment now();

/// What panal-agent does when nxagent runs it as its dialog program: a closed window suspends the
/// session, every other question is left unanswered. Returns the exit status.
[[nodiscard]] int dialog_answer(int argc, char** argv);

}  // namespace panal::agent
