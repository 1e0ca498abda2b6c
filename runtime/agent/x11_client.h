#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/agent/x11_wire.h"

namespace panal::agent::x11 {

/// A connection to an X server by its unix socket, without libX11. Every call has a deadline:
/// nxagent answers nobody before its first link. Not thread-safe.
class Client {
 public:
  /// Errors: ENOENT, ECONNREFUSED, EACCES (wrong cookie), ETIMEDOUT, EPROTO.
  [[nodiscard]] static Result<Client> connect(const std::string& socket_path,
                                              std::string_view cookie_bytes,
                                              std::chrono::milliseconds timeout);

  /// Milliseconds without input (MIT-SCREEN-SAVER). Errors: ENOTSUP without the extension.
  [[nodiscard]] Result<std::uint32_t> idle_ms(std::chrono::milliseconds timeout);
  /// Asks for one event once the last input is no longer ago than `idle` (SYNC's IDLETIME); to be
  /// called when it is longer ago. Errors: ENOTSUP where the server has no such counter; EAGAIN
  /// when it came at once.
  [[nodiscard]] Result<void> watch_for_input(std::chrono::milliseconds idle,
                                             std::chrono::milliseconds timeout);
  /// Reads one message that nobody asked for, if one is there; true: the event of
  /// watch_for_input(). Waits at most `timeout` for the rest of it.
  [[nodiscard]] Result<bool> read_event(std::chrono::milliseconds timeout);
  /// How many windows people can see are children of the root.
  [[nodiscard]] Result<int> visible_windows(std::chrono::milliseconds timeout);
  [[nodiscard]] Result<Area> root_size(std::chrono::milliseconds timeout);
  /// Gives the root another size (RandR 1.2). Errors: ENOTSUP.
  [[nodiscard]] Result<void> resize_root(Area area, std::chrono::milliseconds timeout);

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] std::uint32_t root() const { return setup_.root; }
  [[nodiscard]] const Setup& setup() const { return setup_; }
  /// An id of ours, by number from 1 on; number 1 is that of watch_for_input() where it is used.
  [[nodiscard]] std::uint32_t id(std::uint32_t number) const { return setup_.id_base + number; }
  [[nodiscard]] Result<void> send(std::string_view bytes) const;
  /// The next message: reply with its body, event or error.
  [[nodiscard]] Result<std::string> receive(std::chrono::milliseconds timeout) const;

 private:
  Client(UniqueFd socket, Setup setup) : socket_(std::move(socket)), setup_(setup) {}
  /// Sends and waits for its reply; of events only the alarm is heeded, an X error is EPROTO.
  [[nodiscard]] Result<std::string> ask(std::string_view request,
                                        std::chrono::milliseconds timeout);
  /// True for the alarm that is set; it is none any more.
  [[nodiscard]] Result<bool> take_alarm(std::string_view message);
  /// Errors: ENOTSUP.
  [[nodiscard]] Result<Extension> extension(std::string_view name,
                                            std::chrono::milliseconds timeout);

  [[nodiscard]] std::uint32_t alarm() const { return id(1); }

  UniqueFd socket_;
  Setup setup_;
  std::uint8_t saver_ = 0;
  Extension sync_;
  std::uint32_t idle_counter_ = 0;
  bool armed_ = false;  ///< an alarm is set
};

}  // namespace panal::agent::x11
