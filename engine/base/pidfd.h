#pragma once

#include <sys/types.h>

#include <chrono>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal {

/// A process held by descriptor, so that its pid cannot be reused under our hands.
/// Kernel: pidfd_open(2) since 5.3.
class Pidfd {
 public:
  Pidfd() = default;
  explicit Pidfd(UniqueFd fd, pid_t pid) noexcept : fd_(std::move(fd)), pid_(pid) {}

  /// Errors: ESRCH when there is no such process, EINVAL for a thread id.
  [[nodiscard]] static Result<Pidfd> open(pid_t pid);

  [[nodiscard]] bool valid() const noexcept { return fd_.valid(); }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// The pid at the time of open(), for messages and /proc look-ups.
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// Errors: ESRCH when the process has ended, EPERM.
  [[nodiscard]] Result<void> send_signal(int signal) const;
  /// Takes the memory of a process that was killed and cannot run its own end: at once, in the
  /// caller's time (some 0.2 s a GiB). Errors: ENOSYS before Linux 5.15; EINVAL when it is not
  /// dying; EAGAIN when it is busy; ESRCH.
  [[nodiscard]] Result<void> release_memory() const;
  /// True once the process has ended. Waits up to `timeout` (zero: only looks). It does not reap.
  [[nodiscard]] Result<bool> wait_exit(std::chrono::milliseconds timeout) const;

 private:
  UniqueFd fd_;
  pid_t pid_ = -1;
};

}  // namespace panal
