#pragma once

#include <cstdint>

#include "engine/profile/profile.h"
#include "runtime/optimiser/settings.h"

namespace panal::optimiser {

struct NodeFacts {
  std::uint64_t memory_total_bytes = 0;
  std::uint64_t memory_reserve_bytes = 0;  ///< the configuration's; 0: the profile's
};

/// What a tuning profile lets the optimiser do on this node.
[[nodiscard]] Settings settings_of(const profile::Profile& profile, const NodeFacts& node);

}  // namespace panal::optimiser
