#include "runtime/broker/auth/rate_limit.h"

#include <algorithm>

namespace panal::auth {

std::optional<RateLimit::Milliseconds> RateLimit::attempt(const std::string& key, TimePoint now) {
  const auto found = due_.find(key);
  if (found == due_.end() && due_.size() >= law_.keys) make_room(now);
  const TimePoint paid = found == due_.end() ? now : std::max(now, found->second);
  const TimePoint starts = paid - law_.interval * (law_.burst - 1);
  const auto wait = std::chrono::ceil<Milliseconds>(std::max(starts - now, TimePoint::duration{}));
  if (wait > law_.longest) return std::nullopt;
  due_[key] = paid + law_.interval;
  return wait;
}

void RateLimit::make_room(TimePoint now) {
  std::erase_if(due_, [now](const auto& entry) { return entry.second <= now; });
  // A flood of names: forgetting all of them is cheaper than being slow for everybody.
  if (due_.size() >= law_.keys) due_.clear();
}

}  // namespace panal::auth
