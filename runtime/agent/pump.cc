#include "runtime/agent/pump.h"

#include <sys/socket.h>

#include <cerrno>

namespace panal::agent {
namespace {
constexpr std::size_t kMostBytes = 64 << 10;
}  // namespace

pollfd Pump::source() const {
  const bool wants = !ended_ && !failed_ && buffer_.size() < kMostBytes;
  return {.fd = wants ? from_ : -1, .events = POLLIN, .revents = 0};
}

pollfd Pump::sink() const {
  return {.fd = buffer_.empty() || failed_ ? -1 : to_, .events = POLLOUT, .revents = 0};
}

void Pump::move() {
  while (!ended_ && !failed_ && buffer_.size() < kMostBytes) {
    char chunk[16384];
    const ssize_t count = ::recv(from_, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (count > 0) {
      buffer_.append(chunk, static_cast<std::size_t>(count));
    } else if (count == 0) {
      ended_ = true;
    } else {
      failed_ = errno != EAGAIN && errno != EINTR;
      break;
    }
  }
  while (!buffer_.empty() && !failed_) {
    const ssize_t count = ::send(to_, buffer_.data(), buffer_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) {
      failed_ = errno != EAGAIN && errno != EINTR;
      break;
    }
    buffer_.erase(0, static_cast<std::size_t>(count));
  }
}

}  // namespace panal::agent
