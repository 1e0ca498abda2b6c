#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "engine/base/unique_fd.h"
#include "runtime/loop/loop.h"

namespace panal::node {

/// When a change of rules is told: soon, as one change seldom comes alone, and not again at once,
/// as a host may change its rules all the time.
struct WatchPace {
  std::chrono::milliseconds settle{100};
  std::chrono::milliseconds apart{2000};
};

/// Tells that somebody has changed nftables' rules. What was changed while it waits, or after it
/// has begun to tell, is told as well.
class RulesWatch {
 public:
  /// `events`: of netconfine::open_nft_events(). `changed` is called on the loop's thread. Any
  /// thread; it must live until the loop has ended, or be destroyed on the loop's thread.
  [[nodiscard]] static std::unique_ptr<RulesWatch> open(loop::Loop& loop, UniqueFd events,
                                                        std::function<void()> changed,
                                                        const WatchPace& pace = {});

 private:
  RulesWatch(loop::Loop& loop, UniqueFd events, std::function<void()> changed,
             const WatchPace& pace)
      : events_(loop, std::move(events)), timer_(loop), changed_(std::move(changed)), pace_(pace) {}
  void wait();
  void heard();
  void tell();

  loop::Descriptor events_;
  loop::Timer timer_;
  std::function<void()> changed_;
  const WatchPace pace_;
  std::chrono::steady_clock::time_point next_{};  ///< not told before
};

}  // namespace panal::node
