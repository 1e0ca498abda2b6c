#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/result.h"
#include "engine/model/ids.h"
#include "storage/home/home_call.h"
#include "storage/home/lost_homes.h"

namespace panal::node {

/// Looks, now and then, whether the homes that desktops have open are still there, where they lie
/// on a file system that may hang or vanish, and has those unlocked that could not be when their
/// desktops ended. On a thread of its own; each look is made by panal-home.
class HomeWatch {
 public:
  using Time = storage::LostHomes::Time;
  struct Parts {
    std::string homes_dir;
    std::chrono::seconds lost_after{300};
    /// Asks panal-home about paths, in this order (HomeChildren::ask()).
    std::function<Result<storage::home_call::Answer>(const std::vector<std::string>&)> probe;
    /// A desktop's home is lost, and why. On the watch's thread, once for each.
    std::function<void(DesktopId, const std::string&)> lost;
    LoggerPtr log;
    /// How many homes of desktops that ended are still locked here, and what unlocks them: called
    /// when the directory of all answers. On the watch's thread. None: there are never any.
    std::function<std::size_t()> left = nullptr;
    std::function<std::size_t()> unlock_left = nullptr;
  };
  explicit HomeWatch(Parts parts);
  ~HomeWatch();
  HomeWatch(const HomeWatch&) = delete;
  HomeWatch& operator=(const HomeWatch&) = delete;

  /// Begins to look every `pause`. Without it, look() is the caller's.
  void start(std::chrono::milliseconds pause);
  void stop();

  /// From any thread.
  void add(DesktopId id, std::string mount_point);
  void remove(DesktopId id);

  /// One look at all; nobody is asked when no home is open or left.
  void look(Time now);

 private:
  struct Home {
    std::string mount_point;
    bool late = false;  ///< did not answer when it was last looked at
  };
  void work(std::chrono::milliseconds pause);
  void unlock_left();
  void judge(const std::vector<DesktopId>& order, const storage::home_call::Answer& answer,
             Time now);
  void take_look(DesktopId id, const Result<void>& seen, Time now);

  Parts parts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<DesktopId, Home> homes_;
  storage::LostHomes lost_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace panal::node
