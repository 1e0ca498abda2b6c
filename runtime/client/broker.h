#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "runtime/client/http.h"
#include "runtime/client/tls.h"

namespace panal::client {

/// One of the user's desktops, as the broker lists it.
struct Listed {
  std::int64_t id = 0;
  std::string name;
  std::string state;
  bool blocked = false;
};

/// What kind of thing went wrong: the program's exit code (documented in --help).
enum class Exit : int {
  kOk = 0,
  kUsage = 1,
  kUnreachable = 2,
  kCertificate = 3,
  kLogin = 4,
  kRefused = 5,
  kSession = 6,
  kStopped = 7,
};

/// An Error and the exit code it means.
struct ClientError {
  Exit exit = Exit::kUnreachable;
  std::string sentence = {};
  bool passing = false;                 ///< it may be gone a moment later: worth another try
  std::chrono::milliseconds lasted{0};  ///< how long the session had been there when it broke off
};

template <typename T>
using Outcome = tl::expected<T, ClientError>;

/// Called with each word of progress the broker sends (102 lines).
using Progress = std::function<void(const std::string&)>;

/// The stream after 101.
struct Tunnel {
  std::string cookie;  ///< of X-Panal-Cookie; empty from a QVD server
  std::string early;   ///< bytes that came with the head
};

/// Speaks HTTP/1.1 with a broker over one connection. Protocol: docs/broker.md.
class Broker {
 public:
  Broker(std::unique_ptr<TlsConnection> connection, std::string host, std::string login,
         std::string password)
      : connection_(std::move(connection)),
        host_(std::move(host)),
        login_(std::move(login)),
        password_(std::move(password)) {}

  [[nodiscard]] Outcome<std::vector<Listed>> list();
  /// `parameters`: qvd.client.* names and values.
  [[nodiscard]] Outcome<Tunnel> connect(
      std::int64_t desktop, const std::vector<std::pair<std::string, std::string>>& parameters,
      const Progress& progress);
  [[nodiscard]] Outcome<void> stop(std::int64_t desktop, const Progress& progress);
  [[nodiscard]] TlsConnection& connection() { return *connection_; }
  /// While it waits, `stop_fd` becoming readable ends the wait with Exit::kStopped.
  void set_stop(int stop_fd) { stop_fd_ = stop_fd; }

 private:
  [[nodiscard]] Result<void> send(const std::string& text);
  [[nodiscard]] Result<void> fill();
  [[nodiscard]] Result<void> wait_ready(Io state);
  [[nodiscard]] Result<ResponseHead> read_head();
  [[nodiscard]] Result<std::string> read_body(const ResponseHead& head);
  /// Sends, passes 102s to `progress`, returns the final head.
  [[nodiscard]] Outcome<ResponseHead> ask(
      const std::string& target, const std::vector<std::pair<std::string, std::string>>& extra,
      const Progress& progress);
  [[nodiscard]] ClientError refusal(const ResponseHead& head);

  std::unique_ptr<TlsConnection> connection_;
  std::string host_, login_, password_;
  std::string buffer_;
  int stop_fd_ = -1;
};

/// The desktop of that name or number; the only one where `wanted` is empty.
[[nodiscard]] Outcome<Listed> choose(const std::vector<Listed>& desktops,
                                     const std::string& wanted);

/// Parses the list's JSON. Errors: EPROTO.
[[nodiscard]] Result<std::vector<Listed>> parse_list(const std::string& body);

}  // namespace panal::client
