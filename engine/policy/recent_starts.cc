#include "engine/policy/recent_starts.h"

#include <algorithm>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

constexpr MonotonicNs kApart = kSecond;

}  // namespace

void RecentStarts::saw(MonotonicNs at_ns, std::vector<double> used) {
  const MonotonicNs since = at_ns - kGrowNs;
  while (!starts_.empty() && starts_.front() < since) starts_.pop_front();
  while (!looks_.empty() &&
         (looks_.front().at_ns < since || looks_.front().used.size() != used.size()))
    looks_.pop_front();
  if (looks_.empty() || at_ns - looks_.back().at_ns >= kApart) looks_.push_back({at_ns, used});
  now_ = std::move(used);
}

double RecentStarts::expected(std::size_t index, double each) const {
  const Look& before = looks_.front();
  const auto since = std::count_if(starts_.begin(), starts_.end(),
                                   [&](MonotonicNs start) { return start >= before.at_ns; });
  if (since == 0) return now_[index];
  return std::max(now_[index], before.used[index] + each * static_cast<double>(since));
}

}  // namespace panal::policy
