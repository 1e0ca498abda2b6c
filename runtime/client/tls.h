#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/base/result.h"

namespace panal::client {

/// How the server's certificate is judged: against a CA file where one is given, else not at all
/// here (the caller compares fingerprint() with its pin before it sends anything).
struct TlsOptions {
  std::string ca_file = {};
  std::chrono::seconds timeout{15};
  int stop_fd = -1;  ///< readable: give up with ECANCELED
};

/// What a non-blocking operation came to.
enum class Io { kDone, kWantRead, kWantWrite, kClosed };

struct Transfer {
  Io state = Io::kDone;
  std::size_t bytes = 0;
};

/// A TLS (>= 1.2) connection to a broker; TCP_NODELAY. Non-blocking after connect().
class TlsConnection {
 public:
  /// Errors: those of connect(2), ENOENT "no such host", EPROTO when no TLS server answers,
  /// EACCES when the CA file does not vouch for it, ETIMEDOUT, ECANCELED.
  [[nodiscard]] static Result<std::unique_ptr<TlsConnection>> connect(const std::string& host,
                                                                      std::uint16_t port,
                                                                      const TlsOptions& options);
  virtual ~TlsConnection() = default;

  /// SHA-256 of the server's certificate (DER), hex.
  [[nodiscard]] virtual std::string fingerprint() const = 0;
  [[nodiscard]] virtual int fd() const = 0;
  /// Bytes already decrypted: poll(2) does not see them.
  [[nodiscard]] virtual bool has_pending() const = 0;
  /// Errors: ECONNRESET, EPROTO. Io::kClosed: the server said good-bye.
  [[nodiscard]] virtual Result<Transfer> read(std::span<char> into) = 0;
  /// After kWantRead or kWantWrite it must be called again with at least the same bytes first.
  [[nodiscard]] virtual Result<Transfer> write(std::span<const char> from) = 0;
  /// Sends close_notify, as far as it goes without waiting.
  virtual void shut_down() noexcept = 0;
};

}  // namespace panal::client
