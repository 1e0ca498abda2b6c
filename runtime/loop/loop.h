#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "engine/base/unique_fd.h"

namespace panal::loop {

/// An event loop, one thread. Boost.Asio is behind it, so that its headers are compiled
/// once. Functions given to it run on the loop's thread, one at a time, and must not block.
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs `work` soon, never inside this call. The only call other threads may make.
  void post(std::function<void()> work);
  /// Runs until stop().
  void run();
  /// Runs until `done` says true or `limit` has passed (tests); says which.
  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds limit);
  void stop();

  struct Impl;
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// Calls a function once, later. Starting it again or destroying it forgets the earlier function.
class Timer {
 public:
  explicit Timer(Loop& loop);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void start(std::chrono::milliseconds after, std::function<void()> work);
  void cancel();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

enum class Ready { kReadable, kWritable };

/// Waits until a non-blocking descriptor is ready, and owns it.
class Descriptor {
 public:
  /// Makes `fd` non-blocking.
  Descriptor(Loop& loop, UniqueFd fd);
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int fd() const;
  /// Calls `work` once the descriptor is (or seems) ready. Several waits may be pending. After
  /// close() or destruction pending functions are dropped, never called.
  void wait(Ready ready, std::function<void()> work);
  void close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// Calls `work` with the number of each of these signals that the process gets.
class Signals {
 public:
  Signals(Loop& loop, const std::vector<int>& numbers, std::function<void(int)> work);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace panal::loop
