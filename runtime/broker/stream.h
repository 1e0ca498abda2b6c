#pragma once

#include <cstddef>
#include <functional>

namespace panal::broker {

enum class IoState {
  kDone,       ///< `bytes` were moved (at least one), or the shutdown is complete
  kWantRead,   ///< try again when wait(kWantRead) says so
  kWantWrite,  ///< the same for kWantWrite
  kEnd,        ///< read: the peer will send no more
  kFailed,     ///< the connection is dead
};

struct IoResult {
  IoState state = IoState::kFailed;
  std::size_t bytes = 0;
};

/// A connected, non-blocking byte stream: TLS to a client, or a plain socket. Reads and writes
/// are tried first and waited for after, so that nobody holds a buffer while nothing moves.
class Stream {
 public:
  virtual ~Stream() = default;

  [[nodiscard]] virtual IoResult read(char* data, std::size_t size) = 0;
  /// A write that wanted must be repeated with the same bytes in front.
  [[nodiscard]] virtual IoResult write(const char* data, std::size_t size) = 0;
  /// Says "I will send no more"; reading goes on.
  [[nodiscard]] virtual IoResult shutdown_write() = 0;
  /// Calls `work` when a try after kWantRead or kWantWrite makes sense; dropped after close().
  virtual void wait(IoState want, std::function<void()> work) = 0;
  virtual void close() = 0;
};

}  // namespace panal::broker
