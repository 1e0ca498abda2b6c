#include "runtime/warm/process.h"

#include <poll.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/base/pipe.h"

namespace panal::warm {
namespace {

constexpr std::size_t kMostSaid = std::size_t{64} << 10;
constexpr int kGraceMs = 2000;

}  // namespace

Result<Process> Process::start(const std::string& program, const Order& order) {
  PANAL_ASSIGN(Pipe input, make_pipe());
  PANAL_ASSIGN(Pipe output, make_pipe());
  ChildCommand command{.program = program, .argv = arguments(order)};
  command.argv.insert(command.argv.begin(), program);
  command.environment = std::vector<std::string>{"PATH=/usr/bin:/bin"};
  command.descriptors = {{STDIN_FILENO, input.read.get()},
                         {STDOUT_FILENO, output.write.get()},
                         {STDERR_FILENO, output.write.get()}};
  PANAL_ASSIGN(ChildProcess child, ChildProcess::start(command));
  return Process(std::move(child), std::move(input.write), std::move(output.read));
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
  PANAL_ASSIGN(const ChildEnd end, child_.wait());
  if (end.well()) return parse_answer(said_);
  if (said_.ends_with('\n')) said_.pop_back();
  const auto line = said_.rfind('\n');
  const std::string last = line == std::string::npos ? said_ : said_.substr(line + 1);
  return fail(ECHILD, last.empty() ? "panal-warm was ended" : printable(last, 500));
}

}  // namespace panal::warm
