#include "runtime/agent/agent.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "runtime/agent/agent_log.h"

namespace panal::agent {

using session::Moment;

// The linker's names for where the program's code is.
extern "C" const char __executable_start;  // NOLINT(bugprone-reserved-identifier)
extern "C" const char etext;

namespace {

/// Most of the program is start-up and seldom needed, and the kernel maps 64 KiB around whatever
/// is touched once. Before a long sleep all of it is given back: what the next wake-up needs is
/// in the page cache, and the rest is nobody's memory.
void release_code() {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(&__executable_start);
  const auto end = reinterpret_cast<std::uintptr_t>(&etext) / page * page;
  // A program begins at a page.
  ::madvise(const_cast<char*>(&__executable_start), end - begin, MADV_DONTNEED);
}

}  // namespace

Moment now() {
  return std::chrono::duration_cast<Moment>(std::chrono::steady_clock::now().time_since_epoch());
}

Result<void> Agent::open_signals() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGPWR}) ::sigaddset(&wanted, number);
  if (::sigprocmask(SIG_BLOCK, &wanted, nullptr) != 0) return fail_errno("block signals");
  signals_ = UniqueFd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return fail_errno("make signalfd");
  return {};
}

Result<int> Agent::run() {
  PANAL_TRY(open_signals());
  reconnect_at_ = now();
  while (off_ != Off::kDone) {
    on_timers();
    if (off_ != Off::kDone) wait_and_dispatch();
  }
  return 0;
}

std::optional<Moment> Agent::next_deadline() const {
  std::optional<Moment> first;
  const auto consider = [&first](const std::optional<Moment>& at) {
    if (at && (!first || *at < *first)) first = at;
  };
  if (off_ != Off::kNo) return now() + Moment{100};
  consider(reconnect_at_);
  consider(idle_at_);
  consider(settle_at_);
  consider(notice_until_);
  consider(machine_.deadline());
  return first;
}

void Agent::wait_and_dispatch() {
  // Whoever sent last may have found panald gone, hello included: nothing else tells of that.
  if (!link_.connected() && !reconnect_at_) reconnect_at_ = now() + link_.pause();
  std::array<pollfd, 6> entries{};
  // poll(2) skips negative descriptors.
  entries[0] = {.fd = signals_.get(), .events = POLLIN, .revents = 0};
  entries[1] = {.fd = link_.fd(), .events = POLLIN, .revents = 0};
  entries[2] = {.fd = nx_.log_fd(), .events = POLLIN, .revents = 0};
  entries[3] = {.fd = programs_.output.get(), .events = POLLIN, .revents = 0};
  entries[4] = {.fd = screen_.fd(), .events = POLLIN, .revents = 0};
  entries[5] = {.fd = notice_.fd(), .events = POLLIN, .revents = 0};
  int timeout = -1;
  if (const auto deadline = next_deadline()) {
    timeout = static_cast<int>(
        std::clamp((*deadline - now()).count(), std::int64_t{0}, std::int64_t{3600000}));
  }
  if (timeout < 0 || timeout > 5000) release_code();
  if (::poll(entries.data(), entries.size(), timeout) < 0) return;
  if (entries[1].revents != 0) {
    if (const auto frame = link_.receive()) on_frame(*frame);
    if (!link_.connected()) reconnect_at_ = now() + link_.pause();
  }
  if (entries[2].revents != 0) {
    for (const auto event : nx_.read_log()) run_steps(machine_.nx_event(event, now()));
  }
  if (entries[3].revents != 0) read_programs();
  // Whatever was read of the screen above may have been all there was, or have lost the link.
  if (entries[4].revents != 0 && entries[4].fd == screen_.fd() && screen_.read_event() && idle_at_)
    idle_at_ = now();
  if (entries[5].revents != 0 && entries[5].fd == notice_.fd()) notice_.read_event();
  if (entries[0].revents != 0) on_signals();
}

void Agent::on_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
    const auto number = static_cast<int>(info.ssi_signo);
    if (number != SIGCHLD) begin_poweroff(Moment{10000}, "signal " + std::to_string(number));
  }
  reap();
}

void Agent::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    if (pid == nx_.pid()) {
      for (const auto event : nx_.read_log()) run_steps(machine_.nx_event(event, now()));
      // Its copy has made a resume and goes on.
      if (pid != nx_.pid()) continue;
      screen_.forget();
      notice_.close();
      run_steps(machine_.nx_exited(nx_.ended(status), now()));
    } else if (pid == programs_.pid) {
      read_programs();
      programs_ = {};
      programs_log_.close();
      const std::string words = programs_log_.tail.last_lines(5);
      run_steps(machine_.programs_exited(
          "the session ended with " + describe_exit(status) + (words.empty() ? "" : ": " + words),
          now()));
      if (user_) signal_all_of(*user_, SIGTERM);
    }
  }
}

void Agent::on_timers() {
  const Moment at = now();
  if (!link_.connected() && (!reconnect_at_ || *reconnect_at_ <= at)) {
    if (link_.try_connect()) {
      reconnect_at_.reset();
      say_hello();
    } else {
      reconnect_at_ = at + link_.pause();
    }
  }
  if (off_ != Off::kNo) {
    advance_poweroff();
    return;
  }
  if (machine_.deadline() && *machine_.deadline() <= at) {
    // What nxagent has said by now comes first: a HUP it has already obeyed must not be repeated.
    for (const auto event : nx_.read_log()) run_steps(machine_.nx_event(event, at));
    run_steps(machine_.tick(at));
  }
  if (settle_at_ && *settle_at_ <= at) check_settled();
  if (idle_at_ && *idle_at_ <= at) check_idle();
  if (notice_until_ && *notice_until_ <= at) {
    notice_.close();
    notice_until_.reset();
  }
}

int dialog_answer(int argc, char** argv) {
  std::string_view type;
  long parent = 0;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "--dialog") == 0) type = argv[i + 1];
    if (std::strcmp(argv[i], "--parent") == 0) parent = std::strtol(argv[i + 1], nullptr, 10);
  }
  if (type == "yesnosuspend" && parent > 1) {
    return ::kill(static_cast<pid_t>(parent), SIGHUP) == 0 ? 0 : 1;
  }
  return 0;
}

}  // namespace panal::agent
