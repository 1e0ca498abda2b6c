#include "storage/home/home_child.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/child_process.h"
#include "engine/base/pipe.h"

namespace panal::storage {
namespace {

using Clock = std::chrono::steady_clock;
/// More than any answer: 400 paths, each bad.
constexpr std::size_t kMostAnswer = std::size_t{1} << 20U;

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
  PANAL_ASSIGN(Pipe output, make_pipe());
  ChildCommand command{.program = program_, .argv = home_call::to_words(call)};
  command.argv.insert(command.argv.begin(), program_);
  command.environment = std::vector<std::string>{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  command.descriptors = {{STDIN_FILENO, ChildDescriptor::kNull},
                         {STDOUT_FILENO, output.write.get()}};
  PANAL_ASSIGN(ChildProcess child, ChildProcess::start(command));
  output.write.reset();
  const std::string text = read_until(output.read.get(), Clock::now() + patience_);
  // It says its last word and ends; a moment is enough for that, and for dying where it can.
  constexpr std::chrono::milliseconds kToEnd{500};
  (void)child.wait(std::chrono::milliseconds(0));  // whether it is reaped now is all that counts
  if (child.valid()) {
    const auto answer = home_call::parse_answer(text);
    if (!answer || !answer->complete) (void)child.process().send_signal(SIGKILL);
    (void)child.wait(kToEnd);
  }
  if (child.valid()) {
    (void)child.process().send_signal(SIGKILL);
    const std::lock_guard lock(mutex_);
    lost_.push_back(child.release());
  }
  return home_call::parse_answer(text);
}

}  // namespace panal::storage
