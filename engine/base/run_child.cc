#include "engine/base/run_child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/base/pipe.h"
#include "engine/base/unique_fd.h"

namespace panal {
namespace {

using Time = std::chrono::steady_clock::time_point;

/// Taken from a pipe before the time is looked at again; what a pipe holds if nobody says
/// otherwise.
constexpr std::size_t kAtOnceBytes = std::size_t{64} << 10U;

/// Where a program's words are heard.
struct Ear {
  UniqueFd pipe = {};
  std::string heard = {};
};

/// A file in memory: whoever does not read it gets no SIGPIPE, neither waits for the other, and a
/// program that opens /dev/stdin by its name can (it could not with a socket).
Result<UniqueFd> make_input(std::string_view text) {
  UniqueFd file(::memfd_create("panal-input", MFD_CLOEXEC));
  if (!file) return fail_errno("make a file for a program's input");
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno("write a program's input");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_errno("rewind a program's input");
  return file;
}

/// The end that the program gets.
Result<UniqueFd> open_ear(Ear& ear) {
  PANAL_ASSIGN(Pipe pipe, make_pipe());
  if (::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno("unblock a pipe");
  ear.pipe = std::move(pipe.read);
  return std::move(pipe.write);
}

/// Takes what is there, `bytes` at most; closes the pipe at its end.
Result<void> listen_to(Ear& ear, std::size_t bytes, const RunOptions& options) {
  std::array<char, 16384> block{};
  while (ear.pipe && bytes > 0) {
    const ssize_t got = ::read(ear.pipe.get(), block.data(), std::min(block.size(), bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return {};
    if (got < 0) return fail_errno("read what it says");
    if (got == 0) {
      ear.pipe.reset();
      return {};
    }
    const auto count = static_cast<std::size_t>(got);
    bytes -= count;
    ear.heard.append(block.data(), count);
    if (ear.heard.size() <= options.most_bytes) continue;
    if (!options.keep_end)
      return fail(E2BIG, "it said more than " + std::to_string(options.most_bytes) +
                             " bytes and was killed");
    ear.heard.erase(0, ear.heard.size() - options.most_bytes);
  }
  return {};
}

/// All that a process which has ended can have left in it.
std::size_t room_of(const UniqueFd& pipe) {
  const int bytes = ::fcntl(pipe.get(), F_GETPIPE_SZ);
  return bytes > 0 ? static_cast<std::size_t>(bytes) : kAtOnceBytes;
}

/// For poll(2): a minute at most.
int milliseconds_until(Time when) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(when - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

/// Until the process has ended: all it has said is in the pipes then, whoever else holds them.
Result<void> hear(const Pidfd& process, std::array<Ear, 2>& ears, const RunOptions& options) {
  const Time give_up =
      options.limit ? std::chrono::steady_clock::now() + *options.limit : Time::max();
  for (;;) {
    // A negative descriptor is not looked at.
    std::array<pollfd, 3> waiting{{{process.fd(), POLLIN, 0},
                                   {ears[0].pipe.get(), POLLIN, 0},
                                   {ears[1].pipe.get(), POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), milliseconds_until(give_up)) < 0 && errno != EINTR)
      return fail_errno("wait for its end");
    const bool ended = waiting[0].revents != 0;
    for (Ear& ear : ears)
      PANAL_TRY(listen_to(ear, ended ? room_of(ear.pipe) : kAtOnceBytes, options));
    if (ended) return {};
    if (std::chrono::steady_clock::now() >= give_up)
      return fail(ETIMEDOUT, "it took too long and was killed");
  }
}

}  // namespace

Result<ChildOutput> run_child(ChildCommand command, const RunOptions& options) {
  std::array<Ear, 2> ears;
  UniqueFd input;
  UniqueFd errors;
  if (!options.input.empty()) {
    PANAL_ASSIGN(input, make_input(options.input));
  }
  PANAL_ASSIGN(UniqueFd output, open_ear(ears[0]));
  if (options.errors == ChildErrors::kApart) {
    PANAL_ASSIGN(errors, open_ear(ears[1]));
  }
  int errors_to = ChildDescriptor::kNull;
  if (options.errors == ChildErrors::kApart) errors_to = errors.get();
  if (options.errors == ChildErrors::kWithOutput) errors_to = output.get();
  command.descriptors.push_back({STDIN_FILENO, input ? input.get() : ChildDescriptor::kNull});
  command.descriptors.push_back({STDOUT_FILENO, output.get()});
  command.descriptors.push_back({STDERR_FILENO, errors_to});
  PANAL_ASSIGN(ChildProcess child, ChildProcess::start(command));
  output.reset();
  errors.reset();
  // On the way out of here the child is killed.
  if (auto heard = hear(child.process(), ears, options); !heard)
    return prefixed(command.program, std::move(heard.error()));
  PANAL_ASSIGN(const ChildEnd end, child.wait());
  return ChildOutput{end, std::move(ears[0].heard), std::move(ears[1].heard)};
}

}  // namespace panal
