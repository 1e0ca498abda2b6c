#include "runtime/agent/host_link.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "runtime/agent/agent_log.h"

namespace panal::agent {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kShortest{50};
constexpr milliseconds kLongest{1000};

}  // namespace

bool HostLink::try_connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    pause_ = std::min(pause_ * 2, kLongest);
    return false;
  }
  socket_ = std::move(socket);
  heard_ = false;
  return true;
}

void HostLink::drop() {
  socket_.reset();
  // Turned away (somebody else has its place), which must not be asked about 20 times a second.
  if (!heard_) pause_ = std::min(pause_ * 2, kLongest);
  log_line("host_gone");
}

void HostLink::send(const Frame& frame) {
  if (!socket_) return;
  const auto bytes = encode(frame);
  if (!bytes) {
    log_line("frame_not_sent", {{"reason", bytes.error().message()}});
    return;
  }
  const ssize_t count = ::send(socket_.get(), bytes->data(), bytes->size(), MSG_NOSIGNAL);
  // A host that does not read is as good as gone; after its return hello tells it the rest.
  if (count < 0) drop();
}

std::optional<Frame> HostLink::receive() {
  if (!socket_) return std::nullopt;
  char buffer[kFrameBytes + 1];
  const ssize_t count = ::recv(socket_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  if (count <= 0) {
    drop();
    return std::nullopt;
  }
  heard_ = true;
  pause_ = kShortest;
  auto frame = decode({buffer, static_cast<std::size_t>(count)});
  if (!frame) {
    log_line("frame_ignored", {{"reason", frame.error().message()}});
    return std::nullopt;
  }
  return std::move(*frame);
}

}  // namespace panal::agent
