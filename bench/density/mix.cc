#include "bench/density/mix.h"

namespace panal::bench {

Role role_of(std::size_t index, const Shares& shares) {
  const std::size_t away = shares.disconnected_percent;
  const std::size_t left_before = index * away / 100;
  if ((index + 1) * away / 100 > left_before) return Role::kAway;
  // Of those that stay: the first of each group.
  const std::size_t stays = 100 - away;
  return (index - left_before) * shares.active_percent % stays < shares.active_percent
             ? Role::kActive
             : Role::kIdle;
}

}  // namespace panal::bench
