#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "storage/home/home_call.h"

namespace panal::storage {

/// Runs panal-home, a process a call, each with a time limit. One that does not end in time is
/// killed and left to itself: a process that waits for a dead server may not even die, and nobody
/// waits for it. Thread-safe.
class HomeChildren {
 public:
  /// At most so many that were given up may still be there; then calls fail at once: a server that
  /// hangs must not fill the process table.
  static constexpr std::size_t kMostLost = 16;

  HomeChildren(std::string program, std::chrono::milliseconds patience)
      : program_(std::move(program)), patience_(patience) {}
  HomeChildren(const HomeChildren&) = delete;
  HomeChildren& operator=(const HomeChildren&) = delete;
  ~HomeChildren();

  /// The answer as far as it came: incomplete after the time limit.
  /// Errors: EAGAIN with kMostLost lost ones; ENOENT without the program; EPROTO.
  [[nodiscard]] Result<home_call::Answer> ask(const home_call::Call& call);

  [[nodiscard]] std::chrono::milliseconds patience() const { return patience_; }
  /// How many that were given up are still there.
  [[nodiscard]] std::size_t lost();

 private:
  void reap();

  std::string program_;
  std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::vector<Pidfd> lost_;
};

}  // namespace panal::storage
