#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <string>

#include "engine/base/unique_fd.h"
#include "runtime/agent/protocol.h"

namespace panal::node {

/// The other end of a hub's socket, driven by the test.
class FakeAgent {
 public:
  /// Connects to `directory`/agent.sock.
  explicit FakeAgent(const std::string& directory)
      : socket_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = directory + "/agent.sock";
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    connected_ =
        ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  [[nodiscard]] bool connected() const { return connected_; }

  bool send_bytes(const std::string& bytes) const {
    return ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  bool send(const agent::Frame& frame) const { return send_bytes(*agent::encode(frame)); }
  bool hello(const std::string& session = "none", const std::string& attach = "0") const {
    return send(agent::Frame("hello")
                    .add("protocol", "1")
                    .add("min_protocol", "1")
                    .add("session", session)
                    .add("attach", attach));
  }
  /// The next frame; nullopt at the end of the connection (or after 10 s).
  [[nodiscard]] std::optional<agent::Frame> receive() const {
    pollfd entry{socket_.get(), POLLIN, 0};
    if (::poll(&entry, 1, 10000) <= 0) return std::nullopt;
    char buffer[agent::kFrameBytes];
    const ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (size <= 0) return std::nullopt;
    auto frame = agent::decode({buffer, static_cast<std::size_t>(size)});
    return frame ? std::optional(*frame) : std::nullopt;
  }
  /// True once the hub has closed the connection.
  [[nodiscard]] bool ended() const {
    while (receive()) {
    }
    char byte = 0;
    const ssize_t size = ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT);
    return size == 0 || (size < 0 && errno != EAGAIN);  // an end leaves errno as it was
  }

 private:
  UniqueFd socket_;
  bool connected_ = false;
};

}  // namespace panal::node
