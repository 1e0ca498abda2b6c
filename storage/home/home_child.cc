#include "storage/home/home_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/cleanup.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {
namespace {

using Clock = std::chrono::steady_clock;
/// More than any answer: 400 paths, each bad.
constexpr std::size_t kMostAnswer = std::size_t{1} << 20U;

/// The new process; its stdout is `output`.
Result<pid_t> spawn_call(const std::string& program, const home_call::Call& call, int output) {
  std::vector<std::string> words = home_call::to_words(call);
  words.insert(words.begin(), program);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {path.data(), nullptr};

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  const Cleanup destroy([&] {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  });
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, kernel_paths::kDevNull, O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t child = -1;
  const int error =
      ::posix_spawn(&child, program.c_str(), &actions, &attributes, argv.data(), environment);
  if (error != 0) return fail(error, "start " + program);
  return child;
}

/// What it says until it has ended or the time is over.
std::string read_until(int fd, Clock::time_point deadline) {
  std::string text;
  char block[8192];
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0 || text.size() > kMostAnswer) return text;
    pollfd entry{fd, POLLIN, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready < 0 && errno != EINTR) return text;
    if (ready <= 0) continue;
    const ssize_t got = ::read(fd, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(block, static_cast<std::size_t>(got));
  }
}

}  // namespace

void HomeChildren::reap() {
  std::erase_if(lost_, [](const Pidfd& child) {
    return ::waitpid(child.pid(), nullptr, WNOHANG) != 0;  // it has ended, or is none of ours
  });
}

std::size_t HomeChildren::lost() {
  const std::lock_guard lock(mutex_);
  reap();
  return lost_.size();
}

HomeChildren::~HomeChildren() {
  // Those that are still there hang in the kernel and become init's when we end.
  const std::lock_guard lock(mutex_);
  reap();
}

Result<home_call::Answer> HomeChildren::ask(const home_call::Call& call) {
  if (lost() >= kMostLost)
    return fail(EAGAIN, std::to_string(kMostLost) + " earlier tries to reach " + call.homes_dir +
                            " hang; no more are made until one of them ends");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("make a pipe");
  const UniqueFd output(ends[0]);
  UniqueFd inside(ends[1]);
  PANAL_ASSIGN(const pid_t pid, spawn_call(program_, call, inside.get()));
  inside.reset();
  auto child = Pidfd::open(pid);
  if (!child) {
    (void)::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return tl::make_unexpected(child.error());
  }
  const std::string text = read_until(output.get(), Clock::now() + patience_);
  // It says its last word and ends; a moment is enough for that, and for dying where it can.
  constexpr std::chrono::milliseconds kToEnd{500};
  auto ended = child->wait_exit(std::chrono::milliseconds(0));
  if (!ended || !*ended) {
    auto answer = home_call::parse_answer(text);
    if (!answer || !answer->complete) (void)child->send_signal(SIGKILL);
    ended = child->wait_exit(kToEnd);
  }
  if (ended && *ended) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  } else {
    (void)child->send_signal(SIGKILL);
    const std::lock_guard lock(mutex_);
    lost_.push_back(std::move(*child));
  }
  return home_call::parse_answer(text);
}

}  // namespace panal::storage
