#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "runtime/optimiser/rescue_hands.h"

namespace panal::optimiser {

/// Takes out of `kept` what is of none of these desktops: of one that was removed nobody asks
/// again, and a node starts desktops for years.
template <typename Value>
void erase_gone(std::map<DesktopId, Value>& kept, const std::vector<RescueDesk>& desks) {
  if (kept.empty()) return;
  std::vector<DesktopId> there;
  there.reserve(desks.size());
  for (const RescueDesk& one : desks) there.push_back(one.id);
  std::sort(there.begin(), there.end());
  std::erase_if(kept, [&there](const auto& entry) {
    return !std::binary_search(there.begin(), there.end(), entry.first);
  });
}

}  // namespace panal::optimiser
