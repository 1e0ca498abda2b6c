#include "engine/base/child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/kernel_paths.h"
#include "engine/base/unique_fd.h"

namespace panal {
namespace {

/// What posix_spawn(3) wants beside words.
class SpawnPlan {
 public:
  explicit SpawnPlan(const ChildCommand& command) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t usual;
    ::sigemptyset(&none);
    ::sigemptyset(&usual);
    for (const int signal : command.usual_signals) ::sigaddset(&usual, signal);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &usual);
    const int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                      (command.own_group ? POSIX_SPAWN_SETPGROUP : 0);
    ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }

  /// Copies lie above all numbers that the child gets: no dup2 lands on another one's source, and
  /// none is of a descriptor on itself, which could stay close-on-exec.
  Result<void> give(const std::vector<ChildDescriptor>& descriptors) {
    int above = STDERR_FILENO + 1;
    for (const ChildDescriptor& one : descriptors) above = std::max(above, one.number + 1);
    for (const ChildDescriptor& one : descriptors) {
      if (one.source == ChildDescriptor::kNull) {
        const int flags = one.number == STDIN_FILENO ? O_RDONLY : O_WRONLY;
        ::posix_spawn_file_actions_addopen(&actions_, one.number, kernel_paths::kDevNull, flags, 0);
        continue;
      }
      UniqueFd copy(::fcntl(one.source, F_DUPFD_CLOEXEC, above));
      if (!copy) return fail_errno("duplicate a descriptor");
      ::posix_spawn_file_actions_adddup2(&actions_, copy.get(), one.number);
      copies_.push_back(std::move(copy));
    }
    return {};
  }

  [[nodiscard]] const posix_spawn_file_actions_t* actions() const { return &actions_; }
  [[nodiscard]] const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
  std::vector<UniqueFd> copies_;
};

/// They live as long as `words`.
std::vector<char*> null_terminated(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const ChildCommand& command) {
  const std::string what = "start " + command.program;
  SpawnPlan plan(command);
  if (auto given = plan.give(command.descriptors); !given)
    return prefixed(what, std::move(given.error()));
  const std::vector<std::string> words =
      command.argv.empty() ? std::vector<std::string>{command.program} : command.argv;
  const std::vector<char*> argv = null_terminated(words);
  std::vector<char*> variables;
  if (command.environment) variables = null_terminated(*command.environment);
  pid_t pid = -1;
  const int code = ::posix_spawnp(&pid, command.program.c_str(), plan.actions(), plan.attributes(),
                                  argv.data(), command.environment ? variables.data() : environ);
  if (code != 0) return fail(code, what);
  auto process = Pidfd::open(pid);  // our child: it is there until somebody reaps it
  if (!process) {
    (void)::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return prefixed(what, std::move(process.error()));
  }
  return ChildProcess(std::move(*process), command.program);
}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    kill();
    process_ = std::move(other.process_);
    program_ = std::move(other.program_);
  }
  return *this;
}

Result<ChildEnd> ChildProcess::wait() {
  if (!process_.valid()) return fail(ECHILD, "wait for a child process that is not there");
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(process_.fd()), &info, WEXITED) != 0) {
    if (errno == EINTR) continue;
    auto failure = fail_errno("wait for", program_);
    process_ = Pidfd();  // somebody else has reaped it
    return failure;
  }
  process_ = Pidfd();
  return ChildEnd{info.si_status, info.si_code != CLD_EXITED};
}

Result<std::optional<ChildEnd>> ChildProcess::wait(std::chrono::milliseconds timeout) {
  if (!process_.valid()) return fail(ECHILD, "wait for a child process that is not there");
  PANAL_ASSIGN(const bool ended, process_.wait_exit(timeout));
  if (!ended) return std::optional<ChildEnd>();
  PANAL_ASSIGN(const ChildEnd end, wait());
  return std::optional<ChildEnd>(end);
}

void ChildProcess::kill() noexcept {
  if (!process_.valid()) return;
  (void)process_.send_signal(SIGKILL);  // it may have ended by itself
  (void)wait();                         // how it ended is of no interest any more
}

}  // namespace panal
