#pragma once

#include <vector>

#include "bench/density/bench_node.h"
#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"

namespace panal::bench {

/// What desktops have used since they started, all of them together.
struct DesktopUse {
  double own_bytes = 0;      ///< anonymous and shared memory now
  double charged_bytes = 0;  ///< now
  double cpu_ns = 0;
  /// To a disk, by the processes that live and those they have waited for; less what was deleted
  /// before it got there.
  double written_bytes = 0;
};

/// Errors: ENODEV, ENOENT when one of them is gone.
[[nodiscard]] Result<DesktopUse> use_of(const Tree& tree, const kernel::CgroupRoot& root,
                                        const BenchNode& node,
                                        const std::vector<Account>& accounts);

}  // namespace panal::bench
