#pragma once

#include <poll.h>

#include <array>
#include <cstddef>
#include <string>

namespace panal::agent {

/// Bytes from one descriptor to another, at most 64 KiB under way: a side that does not take its
/// bytes stops the other one.
class Pump {
 public:
  Pump(int from, int to) : from_(from), to_(to) {}

  /// What to wait for; a descriptor of -1 is nothing.
  [[nodiscard]] pollfd source() const;
  [[nodiscard]] pollfd sink() const;
  /// Moves what can be moved without blocking. Both descriptors must be non-blocking sockets.
  void move();
  /// The source has ended (or either side failed) and everything was delivered.
  [[nodiscard]] bool finished() const { return failed_ || (ended_ && buffer_.empty()); }

 private:
  int from_;
  int to_;
  std::string buffer_;
  bool ended_ = false;
  bool failed_ = false;
};

}  // namespace panal::agent
