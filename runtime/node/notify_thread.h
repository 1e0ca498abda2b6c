#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "engine/base/log.h"
#include "engine/base/result.h"
#include "runtime/store/store.h"

namespace panal::node {

/// Waits for the database's notifications on a connection of its own.
class NotifyThread {
 public:
  /// `heard` is called on this object's thread, with each payload. Errors: those of listen().
  [[nodiscard]] static Result<std::unique_ptr<NotifyThread>> open(
      std::unique_ptr<store::Store> store, const std::string& channel,
      std::function<void(const std::string&)> heard, LoggerPtr log);
  ~NotifyThread();
  NotifyThread(const NotifyThread&) = delete;
  NotifyThread& operator=(const NotifyThread&) = delete;

 private:
  NotifyThread() = default;
  void run();

  std::unique_ptr<store::Store> store_;
  std::function<void(const std::string&)> heard_;
  LoggerPtr log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace panal::node
