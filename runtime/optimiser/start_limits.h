#pragma once

#include "engine/base/result.h"
#include "engine/kernel/cgroup.h"
#include "engine/model/limits.h"

namespace panal::optimiser {

/// Gives a desktop the limits again that it was started with; what `at_start` does not speak of is
/// as in a group that nobody has limited. A former panald may have left those of a class, of
/// another profile perhaps, of which no class of the present one speaks, or a fence. Its hard limit
/// of memory is raised at most. What this kernel or group does not have is passed over.
/// Errors: the first of those that were refused; all others are set. ENODEV, ENOENT when the
/// desktop is gone.
[[nodiscard]] Result<void> restore_start_limits(const kernel::Cgroup& group,
                                                const Limits& at_start);

}  // namespace panal::optimiser
