#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "engine/base/log.h"
#include "runtime/broker/work_threads.h"
#include "runtime/loop/loop.h"
#include "runtime/store/store.h"

namespace panal::broker {

using StoreFactory = std::function<Result<std::unique_ptr<store::Store>>()>;

/// The store as the event loop may use it: each call runs on a thread that owns the connection,
/// the answer comes back on the loop. The connection is made at the first call, and anew at most
/// once a second while the database is down; calls meanwhile fail at once with ENOTCONN. A full
/// queue fails with EAGAIN.
class Directory {
 public:
  Directory(loop::Loop& loop, StoreFactory factory, LoggerPtr log);

  /// Runs `work` on the store's thread and `done` with its result on the loop.
  template <typename T>
  void call(std::function<Result<T>(store::Store&)> work, std::function<void(Result<T>)> done) {
    // `done` may hold the last reference to a connection, which must go on the loop: the thread
    // hands its reference back with the result and keeps none.
    auto held = std::make_shared<std::function<void(Result<T>)>>(std::move(done));
    const bool queued = threads_.submit([this, work = std::move(work), held]() mutable {
      Result<store::Store*> store = connected();
      auto result = std::make_shared<Result<T>>(
          store ? work(**store) : Result<T>(tl::make_unexpected(store.error())));
      loop_.post(
          [result = std::move(result), held = std::move(held)] { (*held)(std::move(*result)); });
    });
    if (!queued) {
      loop_.post([held] { (*held)(fail(EAGAIN, "too many requests wait for the database")); });
    }
  }

  /// Writes an audit row; a failure is only logged.
  void audit(const std::string& actor, const std::string& action, const std::string& object,
             const std::string& detail);

 private:
  [[nodiscard]] Result<store::Store*> connected();

  loop::Loop& loop_;
  StoreFactory factory_;
  LoggerPtr log_;
  // What follows, up to the threads, belongs to the store's thread.
  std::unique_ptr<store::Store> store_;
  std::chrono::steady_clock::time_point next_try_{};
  std::chrono::steady_clock::time_point next_complaint_{};
  Error last_error_;
  WorkThreads threads_;  ///< last: it ends before what it uses
};

}  // namespace panal::broker
