#pragma once

#include <functional>
#include <string>

#include "engine/base/child_process.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/warm/order.h"

namespace panal::warm {

/// A running panal-warm, seen by who started it. It ends with this object.
class Process {
 public:
  /// `program`: path of panal-warm. Does not wait. Errors: those of posix_spawn(3).
  [[nodiscard]] static Result<Process> start(const std::string& program, const Order& order);

  Process(Process&& other) noexcept = default;
  Process& operator=(Process&& other) noexcept = delete;

  /// Waits until it has ended. Once `stop_fd` (an eventfd or a pipe; -1: none) is readable it is
  /// told to end, and killed where it does not within 2 s.
  /// Errors: ECHILD with what it said; EPROTO; ECANCELED where it was killed.
  [[nodiscard]] Result<Answer> finish(int stop_fd);

 private:
  Process(ChildProcess child, UniqueFd input, UniqueFd output)
      : input_(std::move(input)), output_(std::move(output)), child_(std::move(child)) {}
  [[nodiscard]] Result<Answer> reap();

  UniqueFd input_;   ///< closed: told to end
  UniqueFd output_;  ///< its stdout and stderr
  std::string said_;
  ChildProcess child_;  ///< last: it is gone before its pipes are
};

}  // namespace panal::warm
