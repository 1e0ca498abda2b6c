// The orderly end: programs, then nxagent, then the rest, then the desktop.
#include <unistd.h>

#include <csignal>

#include "runtime/agent/agent.h"
#include "runtime/agent/agent_log.h"

namespace panal::agent {

void Agent::begin_poweroff(std::chrono::milliseconds grace, const std::string& reason) {
  if (off_ != Off::kNo) return;
  log_line("poweroff", {{"reason", reason}, {"grace_ms", std::to_string(grace.count())}});
  off_ = Off::kPrograms;
  off_begun_ = now();
  off_grace_ = grace;
  off_reason_ = reason;
  if (programs_.running()) ::kill(-programs_.pid, SIGTERM);
}

void Agent::advance_poweroff() {
  const Moment spent = now() - off_begun_;
  if (off_ == Off::kPrograms && (!programs_.running() || spent >= off_grace_ / 2)) {
    off_ = Off::kNx;
    nx_.signal(SIGTERM);
  }
  if (off_ == Off::kNx && (nx_.pid() <= 0 || spent >= off_grace_ * 3 / 4)) {
    off_ = Off::kRest;
    if (::getpid() == 1) ::kill(-1, SIGTERM);
  }
  if (off_ == Off::kRest) {
    // Without other processes there is nobody to wait for.
    const bool alone = ::getpid() != 1 || count_processes() <= 1;
    if (!alone && spent < off_grace_) return;
    if (::getpid() == 1) ::kill(-1, SIGKILL);
    nx_.kill();
    link_.send(Frame("bye").add("reason", off_reason_));
    off_ = Off::kDone;
  }
}

}  // namespace panal::agent
