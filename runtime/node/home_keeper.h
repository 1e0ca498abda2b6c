#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "engine/base/log.h"
#include "engine/base/result.h"
#include "engine/model/ids.h"
#include "runtime/config/config.h"
#include "runtime/loop/loop.h"
#include "runtime/node/home_watch.h"
#include "runtime/node/host.h"
#include "runtime/node/lease_watch.h"
#include "runtime/node/reconciler.h"
#include "runtime/node/worker_pool.h"

namespace panal::node {

/// Keeps the homes of running desktops this node's: renews their leases in the database, has homes
/// that may hang watched, and ends the desktops whose homes are lost. On the loop's thread but for
/// stop().
class HomeKeeper {
 public:
  struct Parts {
    loop::Loop& loop;
    Host& host;
    Reconciler& reconciler;
    WorkerPool& clerk;
    const config::Config& config;
    LoggerPtr log;
  };
  /// Begins to watch homes, where they may hang.
  explicit HomeKeeper(Parts parts);
  HomeKeeper(const HomeKeeper&) = delete;
  HomeKeeper& operator=(const HomeKeeper&) = delete;

  /// From any thread: no home is watched any more.
  void stop();
  void started(DesktopId id);
  void ended(DesktopId id);
  /// Every 30 s, while leases last some minutes.
  void renew();
  /// Ends the desktops whose homes are lost; those that an operation is under way for next time.
  void give_up_lost();

 private:
  void watch_homes(storage::HomeChildren& children);
  /// `had`: desktops with leases when the renewal was begun, with their inits.
  void on_renewed(const std::map<DesktopId, pid_t>& had,
                  std::chrono::steady_clock::time_point begun,
                  const Result<std::set<DesktopId>>& kept);

  Parts parts_;
  std::unique_ptr<HomeWatch> watch_;  ///< only where they may hang
  LeaseWatch leases_;
  std::map<DesktopId, std::string> lost_;  ///< whose home is lost, and why; until they are ended
};

}  // namespace panal::node
