#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"

namespace panal::bench {

struct CommandOptions {
  std::map<std::string, std::string> environment = {};  ///< beside our own
  std::string output_file = {};  ///< where stdout and stderr go; empty: nowhere
  /// Called with the pid before the program begins: to put it into a cgroup.
  std::function<Result<void>(pid_t)> place = {};
};

/// A program that runs; ended (TERM, then KILL) and reaped when it goes.
class Child {
 public:
  /// Errors: those of fork(2); a program that is not there ends with status 127.
  [[nodiscard]] static Result<Child> start(const std::vector<std::string>& argv,
                                           const CommandOptions& options);
  Child() = default;
  Child(Child&& other) noexcept = default;
  Child& operator=(Child&& other) noexcept;
  ~Child();

  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  [[nodiscard]] bool running() const;
  void signal(int number) const;
  /// Waits for its end and reaps it; KILL after `patience`.
  void end(std::chrono::milliseconds patience);

 private:
  Pidfd process_;
};

struct Finished {
  int exit_code = 0;  ///< 128+N for a signal
  std::string output;
};

/// Runs a program to its end. `both`: stderr is part of the output.
[[nodiscard]] Result<Finished> run_command(const std::vector<std::string>& argv, bool both = true);
/// The same; an exit code other than 0 is an error that ends with the output's end.
[[nodiscard]] Result<std::string> output_of(const std::vector<std::string>& argv);

}  // namespace panal::bench
