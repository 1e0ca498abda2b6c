#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace panal::broker {

/// A few threads with a bounded queue, for what would block the loop (password hashes, the
/// database). Threads start at the first job, so that making one is free.
class WorkThreads {
 public:
  /// `queued` jobs may wait beyond those that run.
  WorkThreads(std::size_t threads, std::size_t queued);
  /// Drops what waits, ends what runs.
  ~WorkThreads();
  WorkThreads(const WorkThreads&) = delete;
  WorkThreads& operator=(const WorkThreads&) = delete;

  /// False when the queue is full: the caller answers "busy".
  [[nodiscard]] bool submit(std::function<void()> job);

 private:
  void serve();

  const std::size_t most_threads_;
  const std::size_t most_queued_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::size_t idle_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace panal::broker
