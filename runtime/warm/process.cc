#include "runtime/warm/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "engine/base/log.h"

namespace panal::warm {
namespace {

constexpr std::size_t kMostSaid = std::size_t{64} << 10;
constexpr int kGraceMs = 2000;

struct Ends {
  UniqueFd read;
  UniqueFd write;
};

Result<Ends> make_ends() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("make pipe");
  return Ends{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// Above the numbers that the child gets, so that no dup2 lands on a source.
Result<UniqueFd> above_standard(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 10));
  if (!copy) return fail_errno("duplicate descriptor");
  return copy;
}

class SpawnActions {
 public:
  SpawnActions() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    sigset_t usual;
    ::sigemptyset(&usual);
    ::sigaddset(&usual, SIGPIPE);
    ::posix_spawnattr_setsigdefault(&attributes_, &usual);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  ~SpawnActions() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }
  void give(const UniqueFd& from, int to) {
    ::posix_spawn_file_actions_adddup2(&actions_, from.get(), to);
  }
  [[nodiscard]] const posix_spawn_file_actions_t* files() const { return &actions_; }
  [[nodiscard]] const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

Result<Process> Process::start(const std::string& program, const Order& order) {
  PANAL_ASSIGN(Ends input, make_ends());
  PANAL_ASSIGN(Ends output, make_ends());
  PANAL_ASSIGN(const UniqueFd in, above_standard(input.read.get()));
  PANAL_ASSIGN(const UniqueFd out, above_standard(output.write.get()));
  SpawnActions actions;
  actions.give(in, STDIN_FILENO);
  actions.give(out, STDOUT_FILENO);
  actions.give(out, STDERR_FILENO);
  std::vector<std::string> words = arguments(order);
  words.insert(words.begin(), program);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  char path[] = "PATH=/usr/bin:/bin";
  char* environment[] = {path, nullptr};
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, program.c_str(), actions.files(), actions.attributes(),
                                  argv.data(), environment);
  if (error != 0) return fail(error, "start " + program);
  PANAL_ASSIGN(Pidfd child, Pidfd::open(pid));
  return Process(std::move(child), std::move(input.write), std::move(output.read));
}

Process::~Process() {
  if (!child_.valid()) return;
  (void)child_.send_signal(SIGKILL);
  siginfo_t info{};
  (void)::waitid(P_PIDFD, static_cast<id_t>(child_.fd()), &info, WEXITED);
}

Result<Answer> Process::finish(int stop_fd) {
  char buffer[4096];
  for (;;) {
    // A negative descriptor is not looked at.
    pollfd waiting[] = {{output_.get(), POLLIN, 0}, {stop_fd, POLLIN, 0}};
    const int ready = ::poll(waiting, 2, input_ ? -1 : kGraceMs);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return fail_errno("wait for panal-warm");
    if (ready == 0) return fail(ECANCELED, "panal-warm was told to end and did not");
    if (waiting[1].revents != 0) {
      input_.reset();
      stop_fd = -1;
    }
    if (waiting[0].revents == 0) continue;
    const ssize_t got = ::read(output_.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read what panal-warm says");
    if (got == 0) return reap();
    said_.append(buffer, static_cast<std::size_t>(got));
    // Its progress is of no interest here; the end of what it says is.
    if (said_.size() > kMostSaid) said_.erase(0, said_.size() - kMostSaid / 2);
  }
}

Result<Answer> Process::reap() {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(child_.fd()), &info, WEXITED) != 0)
    return fail_errno("wait for panal-warm");
  child_ = {};
  if (info.si_code == CLD_EXITED && info.si_status == 0) return parse_answer(said_);
  if (said_.ends_with('\n')) said_.pop_back();
  const auto line = said_.rfind('\n');
  const std::string last = line == std::string::npos ? said_ : said_.substr(line + 1);
  return fail(ECHILD, last.empty() ? "panal-warm was ended" : printable(last, 500));
}

}  // namespace panal::warm
