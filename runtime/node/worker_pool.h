#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/base/result.h"
#include "runtime/store/store.h"

namespace panal::node {

/// A few threads for work that blocks, each with a database connection of its own.
class WorkerPool {
 public:
  using Task = std::function<void(store::Store&)>;
  using Connect = std::function<Result<std::unique_ptr<store::Store>>()>;

  /// Errors: those of connect().
  [[nodiscard]] static Result<std::unique_ptr<WorkerPool>> open(std::size_t threads,
                                                                const Connect& connect);
  /// As finish().
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Drops the tasks that have not begun, waits for those that have, and takes no more.
  void finish();
  /// From any thread. First come, first served.
  void submit(Task task);

 private:
  WorkerPool() = default;
  void work(store::Store& store);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<store::Store>> stores_;
  std::vector<std::thread> threads_;
};

}  // namespace panal::node
