// What the session's state machine orders, done.
#include <unistd.h>

#include <csignal>

#include "runtime/agent/agent.h"
#include "runtime/agent/agent_log.h"
#include "runtime/agent/guard_bytes.h"
#include "runtime/agent/guest_view.h"
#include "runtime/agent/prepare.h"

namespace panal::agent {
namespace {

using session::Moment;

constexpr Moment kIdleMinute{60000};
// A return to the keyboard is an event of the X server's; asking for it every few seconds would
// keep it, the link and the client from sleeping. Only who has no such event is asked.
constexpr Moment kReturn{10000};       // input after so long without is a return
constexpr Moment kReturnPoll{5000};    // where there is no event
constexpr Moment kReturnSure{300000};  // in case one was lost
constexpr Moment kSettlePoll{250};
constexpr Moment kSettleQuiet{1500};
constexpr Moment kSettleMost{20000};

}  // namespace

void Agent::run_steps(const session::Steps& steps) {
  for (const auto& step : steps) run_step(step);
}

void Agent::run_step(const session::Step& step) {
  using session::Action;
  switch (step.action) {
    case Action::kStartNx: start_nx(step, false); break;
    case Action::kResumeNx: start_nx(step, true); break;
    case Action::kHup: nx_.signal(SIGHUP); break;
    case Action::kBurn: nx_.burn(); break;
    case Action::kTermNx: nx_.signal(SIGTERM); break;
    case Action::kKillNx: nx_.kill(); break;
    case Action::kStartPrograms: start_programs(); break;
    case Action::kStopPrograms:
      if (programs_.running()) ::kill(-programs_.pid, SIGTERM);
      break;
    case Action::kListening:
      link_.send(Frame("listening").add("attach", std::to_string(step.attach)));
      break;
    case Action::kRefused:
      link_.send(
          Frame("refused").add("attach", std::to_string(step.attach)).add("reason", step.reason));
      break;
    case Action::kFailed:
      log_line("failed", {{"step", step.step}, {"reason", step.reason}});
      link_.send(Frame("failed").add("step", step.step).add("reason", step.reason));
      break;
    case Action::kReport:
      log_line("session", {{"state", std::string(to_string(step.state))}, {"reason", step.reason}});
      link_.send(Frame("session")
                     .add("state", std::string(to_string(step.state)))
                     .add("attach", std::to_string(step.attach))
                     .add("reason", step.reason));
      if (step.state == SessionState::kConnected) {
        idle_told_ = false;
        idle_at_ = now() + kIdleMinute;
      } else {
        idle_at_.reset();
        settle_at_.reset();
        // Whoever comes back is told again.
        notice_.close();
        notice_until_.reset();
      }
      break;
  }
}

void Agent::start_nx(const session::Step& step, bool resume) {
  // The machine orders the newest attach and no other.
  if (!user_ || step.attach != wanted_.number) return;
  if (resume && nx_.needs_resize(wanted_)) {
    // While it is suspended: a resize of a live one leaves its RandR outputs at the old size.
    const std::string& text = wanted_.geometry;
    const auto size = parse_geometry(text.empty() ? kDefaultGeometry : text);
    const auto resized = size ? screen_.adjust(*size) : Result<void>{};
    if (!resized) log_line("resize_failed", {{"reason", resized.error().message()}});
  }
  auto done = resume ? nx_.resume(wanted_, *user_) : nx_.start(wanted_, *user_);
  if (done) {
    const auto cookie = nx_.cookie();
    screen_.configure(nx_.x_socket(), cookie ? *cookie : std::string());
    return;
  }
  if (resume) {
    // nxagent is still suspended, and its programs live: only this attach is lost.
    link_.send(Frame("refused")
                   .add("attach", std::to_string(step.attach))
                   .add("reason", done.error().message()));
    run_steps(machine_.nx_event(session::NxEvent::kSuspended, now()));
    return;
  }
  run_steps(machine_.nx_exited(done.error().message(), now()));
}

void Agent::start_programs() {
  programs_log_.tail.clear();
  programs_log_.open(*user_);
  auto environment = session_environment(*user_, kDisplay, nx_.xauthority(), nx_.request().media);
  const std::string guard = std::string(kSessionDir) + "/session-guard.so";
  // Without it they run as well, but for a race when the screen changes.
  if (const auto put = replace_file(guard, session_guard(), 0644, 0, 0); put)
    environment.push_back("LD_PRELOAD=" + guard);
  else
    log_line("session_guard", {{"why", put.error().message()}});
  if (auto apart = apart_variable(*user_); !apart.empty()) environment.push_back(std::move(apart));
  for (std::string& variable : guest_variables()) environment.push_back(std::move(variable));
  auto child = spawn_as(*user_, user_->session, environment, user_->home);
  if (!child) {
    run_steps(machine_.programs_exited(child.error().message(), now()));
    return;
  }
  programs_ = std::move(*child);
  settle_at_ = now() + kSettlePoll;
  settle_until_ = now() + kSettleMost;
  windows_ = 0;
  windows_since_ = now();
}

void Agent::read_programs() {
  if (!programs_.output) return;
  const Drained drained = drain(programs_.output.get());
  programs_log_.append(drained.bytes);
  // A session that closes its output may well live on.
  if (drained.end) programs_.output.reset();
}

void Agent::check_settled() {
  const Moment at = now();
  settle_at_ = at + kSettlePoll;
  const auto windows = screen_.visible_windows();
  if (windows && *windows != windows_) {
    windows_ = *windows;
    windows_since_ = at;
  }
  const bool quiet = windows_ > 0 && at - windows_since_ >= kSettleQuiet;
  if (!quiet && at < settle_until_) return;
  settle_at_.reset();
  link_.send(Frame("settled").add("windows", std::to_string(windows_)));
}

void Agent::check_idle() {
  const auto idle = screen_.idle_ms();
  if (!idle) {
    idle_at_ = now() + kIdleMinute;
    return;
  }
  const Moment ms{*idle};
  if ((ms >= kIdleMinute) != idle_told_) {
    idle_told_ = !idle_told_;
    link_.send(Frame("idle").add("ms", std::to_string(idle_told_ ? ms.count() : 0)));
  }
  if (idle_told_)
    idle_at_ = now() + (screen_.watch_for_input(kReturn) ? kReturnSure : kReturnPoll);
  else
    idle_at_ = now() + kIdleMinute - ms + Moment{50};
}

}  // namespace panal::agent
