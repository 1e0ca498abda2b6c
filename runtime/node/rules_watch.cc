#include "runtime/node/rules_watch.h"

#include <algorithm>
#include <utility>

#include "netconfine/firewall/nft/events.h"

namespace panal::node {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::unique_ptr<RulesWatch> RulesWatch::open(loop::Loop& loop, UniqueFd events,
                                             std::function<void()> changed, const WatchPace& pace) {
  std::unique_ptr<RulesWatch> watch(
      new RulesWatch(loop, std::move(events), std::move(changed), pace));
  loop.post([self = watch.get()] { self->wait(); });
  return watch;
}

void RulesWatch::wait() {
  events_.wait(loop::Ready::kReadable, [this] { heard(); });
}

void RulesWatch::heard() {
  const auto due = std::chrono::duration_cast<milliseconds>(next_ - steady_clock::now());
  timer_.start(std::max(pace_.settle, due), [this] { tell(); });
}

void RulesWatch::tell() {
  // First: what comes from here on may not be seen by who looks now.
  netconfine::forget_nft_events(events_.fd());
  next_ = steady_clock::now() + pace_.apart;
  changed_();
  wait();
}

}  // namespace panal::node
