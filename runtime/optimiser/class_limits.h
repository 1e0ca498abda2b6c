#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/kernel/cgroup.h"
#include "engine/model/limits.h"

namespace panal::optimiser {

/// What became of a class's limits.
struct LimitsSet {
  bool complete = true;  ///< false: memory limits are on their way; try again later
  std::string why;       ///< with numbers, when not complete
  std::string refused;   ///< what this kernel or group did not take, first of several; "" nothing
};

/// Gives a running desktop its class's limits. Memory limits that are below what it uses are never
/// set at once, so that nothing is killed for them and nobody waits for reclaim: the hard limit
/// follows what is used downwards, and the soft one goes a step below it, which takes that much
/// back. All others are set whatever became of those before them.
/// Errors: ENODEV, ENOENT when the desktop is gone.
[[nodiscard]] Result<LimitsSet> set_class_limits(const kernel::Cgroup& group, const Limits& limits);

/// The hard limit to set now on the way to `wanted`; kUnlimited for none.
[[nodiscard]] std::uint64_t next_hard_limit(std::uint64_t wanted, std::uint64_t used);
/// The soft limit likewise. `immediate`: v1, where setting it takes nothing by itself.
[[nodiscard]] std::uint64_t next_soft_limit(std::uint64_t wanted, std::uint64_t used,
                                            bool immediate);

}  // namespace panal::optimiser
