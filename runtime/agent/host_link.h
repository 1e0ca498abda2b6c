#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "engine/base/unique_fd.h"
#include "runtime/agent/protocol.h"

namespace panal::agent {

/// The agent's end of the talk with panald. While panald is away, frames are dropped: after each
/// reconnect hello says the state anew.
class HostLink {
 public:
  explicit HostLink(std::string socket_path) : path_(std::move(socket_path)) {}

  /// Connects if panald listens. True: connected now.
  bool try_connect();
  [[nodiscard]] bool connected() const { return socket_.valid(); }
  [[nodiscard]] int fd() const { return socket_.get(); }
  /// Pause until the next try: panald is away for an upgrade (short) or broken, or turns us away
  /// without a word (up to 1 s, so that its return is noticed at once by people).
  [[nodiscard]] std::chrono::milliseconds pause() const { return pause_; }

  void send(const Frame& frame);
  /// The next frame that is there; nothing when there is none, when it was malformed (logged), or
  /// when the host has gone (connected() is then false).
  [[nodiscard]] std::optional<Frame> receive();

 private:
  void drop();

  std::string path_;
  UniqueFd socket_;
  std::chrono::milliseconds pause_{50};
  bool heard_ = false;  ///< on this connection
};

}  // namespace panal::agent
