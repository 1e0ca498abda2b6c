#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/kernel/cgroup.h"

namespace panal::optimiser {

/// A group and all that are above it but the root, outermost first: a limit of any of them ends
/// the desktops in it. `path`: relative, like "lab/panal". Errors: ENOENT.
[[nodiscard]] Result<std::vector<kernel::Cgroup>> enclosing_groups(const kernel::CgroupRoot& root,
                                                                   const std::string& path);

}  // namespace panal::optimiser
