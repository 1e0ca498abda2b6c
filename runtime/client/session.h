#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "runtime/client/broker.h"

namespace panal::client {

/// Where to and as whom, as the command line says it.
struct Target {
  std::string host;
  std::uint16_t port = 8443;
  std::string login;
  std::string password;
  std::string ca_file;  ///< empty: pin the certificate on first use
  std::string pin_file;
};

struct ConnectOptions {
  std::string desktop;   ///< name or number; empty: the only one
  std::string geometry;  ///< WIDTHxHEIGHT; empty: three quarters of the screen by nxagent's rule
  bool fullscreen = false;
  std::string keyboard;  ///< model/layout, e.g. pc105/es; empty: as the running X server has it
  std::string link = "lan";
  bool send_cookie = true;  ///< false: greet as QVD's clients do
  std::string nxproxy = "nxproxy";
  std::chrono::milliseconds good{10'000};  ///< a session that lasted as long has been a good one
};

/// "host", "host:port", "[v6]:port". Errors: EINVAL.
[[nodiscard]] Result<std::pair<std::string, std::uint16_t>> parse_server(const std::string& text);

/// The keyboard of `setxkbmap -query`'s output as "model/layout"; pc105/us where it says nothing.
[[nodiscard]] std::string keyboard_of_query(const std::string& output);

/// Text for the user, one line each.
using Tell = std::function<void(const std::string&)>;

/// Opens the connection and judges the certificate; nothing secret is sent before.
/// `stop_fd` readable ends the wait.
[[nodiscard]] Outcome<Broker> open_broker(const Target& target, const Tell& tell, int stop_fd = -1);

/// Connects to a desktop and shows it until the session ends or `stop_fd` is readable.
[[nodiscard]] Outcome<void> run_session(Broker& broker, const ConnectOptions& options, int stop_fd,
                                        const Tell& tell);

/// open_broker() and run_session(), again up to `retries` times after what may pass (server not
/// reached, desktop not available, session broken off), with 1, 2, 4... at most 30 seconds between.
/// A good session (options.good) that breaks off is tried again as the first was: neither count nor
/// pauses go on over the days that a client runs. A refused login or certificate is never tried
/// twice.
[[nodiscard]] Outcome<void> run_with_retries(const Target& target, const ConnectOptions& options,
                                             int retries, int stop_fd, const Tell& tell);

}  // namespace panal::client
