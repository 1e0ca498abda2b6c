// The agent's talk with panald.
#include "runtime/agent/agent.h"
#include "runtime/agent/agent_log.h"
#include "runtime/agent/prepare.h"

namespace panal::agent {
namespace {
/// Long enough to be seen by who has gone for a coffee.
constexpr session::Moment kNoticeStays{std::chrono::minutes(20)};
}  // namespace

void Agent::say_hello() {
  link_.send(Frame("hello")
                 .add("protocol", std::to_string(kProtocol))
                 .add("min_protocol", std::to_string(kMinProtocol))
                 .add("session", std::string(to_string(machine_.state())))
                 .add("attach", std::to_string(machine_.attach())));
}

void Agent::on_frame(const Frame& frame) {
  if (frame.verb == "welcome") {
    on_welcome(frame);
  } else if (frame.verb == "listen") {
    on_listen(frame);
  } else if (frame.verb == "suspend") {
    run_steps(machine_.suspend(now()));
  } else if (frame.verb == "query") {
    send_status();
  } else if (frame.verb == "set") {
    on_set(frame);
  } else if (frame.verb == "notice") {
    on_notice(frame);
  } else if (frame.verb == "poweroff") {
    const auto grace = frame.number("grace_ms", 600000);
    begin_poweroff(Moment{grace ? static_cast<std::int64_t>(*grace) : 10000}, "asked to");
  } else {
    // A newer panald may know verbs that this agent does not.
    log_line("frame_ignored", {{"verb", frame.verb}});
  }
}

void Agent::on_welcome(const Frame& frame) {
  auto user = parse_user(frame);
  if (!user) {
    link_.send(Frame("failed").add("step", "user").add("reason", user.error().context));
    return;
  }
  if (user_ && (user_->login != user->login || user_->uid != user->uid)) {
    link_.send(Frame("failed")
                   .add("step", "user")
                   .add("reason", "this desktop is " + user_->login + "'s until it stops"));
    return;
  }
  user_ = std::move(*user);
  if (const auto done = prepare_user(*user_, ""); !done) {
    link_.send(Frame("failed").add("step", "user").add("reason", done.error().message()));
    log_line("user_failed", {{"reason", done.error().message()}});
    return;
  }
  log_line("user_ready", {{"login", user_->login}});
}

void Agent::on_listen(const Frame& frame) {
  auto request = parse_attach(frame);
  const char* const attach = "attach";
  if (!request || !user_) {
    const std::string reason = !request ? request.error().context : "no welcome came before";
    link_.send(Frame("refused").add(attach, std::string(frame.get(attach))).add("reason", reason));
    return;
  }
  if (request->keyboard.empty()) request->keyboard = user_->keyboard;
  wanted_ = std::move(*request);
  run_steps(machine_.listen(wanted_.number, now()));
}

void Agent::on_set(const Frame& frame) {
  if (!user_) return;
  for (const auto& [key, value] : frame.fields) {
    // In force from the next attach (keyboard) or the next session (time zone) on.
    if (key == "keyboard") user_->keyboard = value;
    if (key == "timezone") user_->timezone = value;
  }
}

void Agent::on_notice(const Frame& frame) {
  // Nobody sees another one's screen, and X may not answer.
  if (machine_.state() != SessionState::kConnected) return;
  const auto cookie = nx_.cookie();
  const auto shown =
      notice_.show(nx_.x_socket(), cookie ? *cookie : std::string(), frame.get("text"));
  if (!shown) return log_line("notice_failed", {{"reason", shown.error().message()}});
  notice_until_ = now() + kNoticeStays;
}

void Agent::send_status() {
  Frame status("status");
  status.add("session", std::string(to_string(machine_.state())));
  const auto state = machine_.state();
  // Only then does X answer.
  if (state == SessionState::kConnected || state == SessionState::kSuspended) {
    if (const auto idle = screen_.idle_ms()) status.add("idle_ms", std::to_string(*idle));
  }
  status.add("processes", std::to_string(count_processes()));
  link_.send(status);
}

}  // namespace panal::agent
