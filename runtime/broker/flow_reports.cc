#include "runtime/broker/flow_reports.h"

#include <algorithm>

namespace panal::broker {

void FlowReports::moved(const FlowPtr& flow) {
  if (moved_.empty()) {
    since_ = Clock::now();
    timer_.start(every_, [this] { report(); });
  }
  moved_.push_back(flow);
}

void FlowReports::report() {
  using std::chrono::milliseconds;
  const auto over =
      std::max(milliseconds{1}, std::chrono::duration_cast<milliseconds>(Clock::now() - since_));
  const auto least = kLeastPerSecond * static_cast<std::uint64_t>(over.count()) / 1000;
  std::vector<Flow> told;
  for (const FlowPtr& flow : moved_) {
    if (flow->bytes >= least && told.size() < kMostSessions) told.push_back(*flow);
    flow->bytes = 0;
  }
  moved_.clear();
  // A node that has not answered the last one is not asked again before it does, or fails to.
  if (told.empty() || telling_) return;
  if (!call_) call_ = node_.begin();
  telling_ = true;
  call_->flow(told, over, [this](const Answer<void>&) { telling_ = false; });
}

}  // namespace panal::broker
