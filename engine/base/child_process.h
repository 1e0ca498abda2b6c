#pragma once

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"

namespace panal {

/// A descriptor that a child process gets.
struct ChildDescriptor {
  /// As `source`: /dev/null. It is not what an empty UniqueFd holds: that is refused.
  static constexpr int kNull = -2;

  int number = -1;     ///< in the child
  int source = kNull;  ///< the caller's, who keeps it; any number, also one that the child uses
};

/// What a child process is started with. No signal is blocked in it. Of descriptors it has those
/// named here, those of 0, 1 and 2 that are not named, and whatever else is not close-on-exec.
struct ChildCommand {
  std::string program = {};            ///< its path; a name without a slash is looked for in PATH
  std::vector<std::string> argv = {};  ///< from the name it is called by; empty: `program` alone
  /// NAME=VALUE, and nothing else; none: the caller's.
  std::optional<std::vector<std::string>> environment = {};
  std::vector<ChildDescriptor> descriptors = {};
  /// These do in it what they usually do, also where the caller ignores them.
  std::vector<int> usual_signals = {SIGPIPE};
  bool own_group = false;  ///< it leads a process group: the terminal's Ctrl-C does not reach it
};

/// How a process has ended.
struct ChildEnd {
  int status = 0;          ///< its exit status, or the number of the signal
  bool by_signal = false;  ///< a signal ended it

  [[nodiscard]] bool well() const { return status == 0 && !by_signal; }
  /// As shells have it: the exit status; 128 + N for signal N.
  [[nodiscard]] int code() const { return by_signal ? 128 + status : status; }
};

/// A child process, killed and reaped when this goes. What it has started itself is not killed.
/// Whoever waits for any child (waitpid(-1)) takes its end away: then wait() says ECHILD.
class ChildProcess {
 public:
  /// Starts it in the calling thread's namespaces; does not wait.
  /// Errors: those of posix_spawn(3), naming the program: ENOENT, EACCES; EMFILE; EBADF.
  [[nodiscard]] static Result<ChildProcess> start(const ChildCommand& command);

  ChildProcess() = default;  ///< none
  ChildProcess(ChildProcess&& other) noexcept = default;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() { kill(); }

  /// Whether there is one that has not been reaped.
  [[nodiscard]] bool valid() const noexcept { return process_.valid(); }
  /// To signal it, and to poll: readable once it has ended.
  [[nodiscard]] const Pidfd& process() const noexcept { return process_; }

  /// Waits for its end and reaps it. Errors: ECHILD where there is none.
  [[nodiscard]] Result<ChildEnd> wait();
  /// The same for `timeout` at most (zero: only looks); nothing where it still runs.
  [[nodiscard]] Result<std::optional<ChildEnd>> wait(std::chrono::milliseconds timeout);
  /// Kills and reaps it, if there is one. One that hangs in the kernel is waited for: release()
  /// is for who cannot afford that.
  void kill() noexcept;
  /// Lets go of it: the caller reaps it.
  [[nodiscard]] Pidfd release() noexcept { return std::exchange(process_, Pidfd()); }

 private:
  ChildProcess(Pidfd process, std::string program)
      : process_(std::move(process)), program_(std::move(program)) {}

  Pidfd process_;
  std::string program_;  ///< for messages
};

}  // namespace panal
