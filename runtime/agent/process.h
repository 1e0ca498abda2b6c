#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/agent/user.h"

namespace panal::agent {

/// A program of the user's: its own session and process group, its output in a pipe.
struct Child {
  pid_t pid = -1;
  UniqueFd output;  ///< non-blocking read end of its stdout and stderr

  [[nodiscard]] bool running() const { return pid > 0; }
};

/// Starts `argv` with exactly `environment`, as the user, in `directory` (or / when that is not
/// to be entered). argv[0] is looked up in the environment's PATH.
/// Errors: those of fork(2) and of execve(2), naming the program.
[[nodiscard]] Result<Child> spawn_as(const User& user, const std::vector<std::string>& argv,
                                     const std::vector<std::string>& environment,
                                     const std::string& directory);

/// "exit status 3", "signal 11".
[[nodiscard]] std::string describe_exit(int wait_status);

/// Kills what is left of a process group whose leader is gone, and waits until it is: what it held
/// open is free then. A second at most; what does not die by then is somebody else's to find.
void end_group(pid_t group);

/// Signals every process of the user's. Only an init may: elsewhere uids are shared.
void signal_all_of(const User& user, int signal);

/// How many processes the desktop has.
[[nodiscard]] int count_processes();

}  // namespace panal::agent
