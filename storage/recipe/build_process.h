#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {

/// A program to run in a throw-away user namespace.
struct BuildCommand {
  std::vector<std::string> argv;
  /// Detached (idmapped) mounts and where they appear, in this order; directories below /tmp (an
  /// empty tmpfs) are made.
  std::vector<std::pair<int, std::string>> mounts;
  int user_namespace = -1;
  /// Its standard input, not owned; -1: nothing.
  int input = -1;
  /// No network but a loopback that is down: for what need not download.
  bool offline = false;
};

/// The running program: root of its user, mount, pid, ipc and uts namespaces, with the host's
/// network unless it is offline, the host's root read-only, and a /tmp and /proc of its own. It and
/// all its children die with the process that started it, and with this object.
class BuildProcess {
 public:
  /// Errors: EPERM, EAGAIN; ENOENT without the program comes as exit status 127 with words.
  [[nodiscard]] static Result<BuildProcess> start(const BuildCommand& command);

  BuildProcess(BuildProcess&& other) noexcept = default;
  BuildProcess& operator=(BuildProcess&& other) noexcept = delete;
  ~BuildProcess();

  /// What it says on stdout and stderr, until all of it has ended.
  [[nodiscard]] int output() const { return output_.get(); }
  /// Kills all of it.
  void kill();
  /// Waits for the end: exit status, or 128 + signal.
  [[nodiscard]] Result<int> wait();

 private:
  BuildProcess(Pidfd child, UniqueFd output)
      : child_(std::move(child)), output_(std::move(output)) {}
  Pidfd child_;
  UniqueFd output_;
};

}  // namespace panal::storage
