#include "engine/base/pidfd.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

namespace panal {

Result<Pidfd> Pidfd::open(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return fail_errno("pidfd_open", std::to_string(pid));
  return Pidfd(std::move(fd), pid);
}

Result<void> Pidfd::send_signal(int signal) const {
  if (::syscall(SYS_pidfd_send_signal, fd_.get(), signal, nullptr, 0) != 0)
    return fail_errno("pidfd_send_signal", std::to_string(pid_));
  return {};
}

Result<void> Pidfd::release_memory() const {
  if (::syscall(SYS_process_mrelease, fd_.get(), 0) != 0)
    return fail_errno("process_mrelease", std::to_string(pid_));
  return {};
}

Result<bool> Pidfd::wait_exit(std::chrono::milliseconds timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd entry{fd_.get(), POLLIN, 0};
    const int ready = ::poll(&entry, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return fail_errno("poll pidfd of", std::to_string(pid_));
  }
}

}  // namespace panal
