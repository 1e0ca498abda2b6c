#pragma once

#include <cstdint>
#include <string>

#include "engine/profile/profile.h"
#include "runtime/optimiser/settings.h"

namespace panal::optimiser {

struct NodeFacts {
  std::uint64_t memory_total_bytes = 0;
  std::uint64_t memory_reserve_bytes = 0;  ///< the configuration's; 0: the profile's
  std::uint64_t desktop_memory_bytes = 0;  ///< what a desktop is started with; 0: not known
  std::uint64_t desktop_pids = 0;          ///< likewise
  std::string disk;  ///< "major:minor" of the one desktops write to; "": none that has limits
};

/// What a tuning profile lets the optimiser do on this node.
[[nodiscard]] bool limits_io(const profile::Profile& profile);

/// What no class of the profile speaks of is left as desktops are started with it.
[[nodiscard]] Settings settings_of(const profile::Profile& profile, const NodeFacts& node);

}  // namespace panal::optimiser
