#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "runtime/broker/directory.h"

namespace panal::broker {

/// Tells waiting requests that a desktop's row may have changed: one thread with a connection of
/// its own listens on "panal_desktop". It is a hint only; whoever waits also polls.
class DesktopWatch {
 public:
  DesktopWatch(loop::Loop& loop, StoreFactory factory, LoggerPtr log);
  ~DesktopWatch();
  DesktopWatch(const DesktopWatch&) = delete;
  DesktopWatch& operator=(const DesktopWatch&) = delete;

  /// Calls `changed` on the loop at each notification for `desktop` until remove(key).
  [[nodiscard]] std::uint64_t add(DesktopId desktop, std::function<void()> changed);
  void remove(std::uint64_t key);

 private:
  struct Waiters {
    std::map<std::uint64_t, std::pair<DesktopId, std::function<void()>>> by_key;
  };
  void listen();

  loop::Loop& loop_;
  StoreFactory factory_;
  LoggerPtr log_;
  std::shared_ptr<Waiters> waiters_ = std::make_shared<Waiters>();  ///< used on the loop only
  std::uint64_t next_key_ = 1;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable stopped_;
  store::Store* listening_ = nullptr;  ///< the thread's; under mutex_
  std::thread thread_;                 ///< starts at the first add()
};

}  // namespace panal::broker
