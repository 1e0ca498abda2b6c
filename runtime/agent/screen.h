#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "runtime/agent/nx_options.h"
#include "runtime/agent/x11_client.h"

namespace panal::agent {

/// What the agent asks of the session's X display, over one connection that stays. All calls end
/// within a second: whoever holds a server grab must not stop an init.
class Screen {
 public:
  void configure(std::string socket, std::string cookie_bytes);
  void forget() { client_.reset(); }

  /// Milliseconds without input; nothing when X does not answer.
  [[nodiscard]] std::optional<std::uint32_t> idle_ms();
  /// fd() becomes readable once the last input is no longer ago than `idle`. False: the server has
  /// no such thing, or does not answer.
  [[nodiscard]] bool watch_for_input(std::chrono::milliseconds idle);
  /// -1 while there is no connection.
  [[nodiscard]] int fd() const { return client_ ? client_->fd() : -1; }
  /// To be called when fd() is readable; true: there was input.
  [[nodiscard]] bool read_event();
  [[nodiscard]] std::optional<int> visible_windows();
  /// Gives the root this size if it has another.
  [[nodiscard]] Result<void> adjust(Size size);

 private:
  [[nodiscard]] Result<void> ensure();

  std::string socket_;
  std::string cookie_;
  std::optional<x11::Client> client_;
};

}  // namespace panal::agent
