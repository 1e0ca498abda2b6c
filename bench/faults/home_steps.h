#pragma once

#include <vector>

#include "bench/faults/fault_steps.h"

namespace panal::bench {

/// What becomes of homes that are file systems in files: made, removed, written to a backup,
/// restored over what they were.
void add_home_steps(FaultNode& node, std::vector<FaultStep>& steps);
/// A snapshot of such a home, on a file system that can clone files: the btrfs beside the disk.
[[nodiscard]] FaultStep snapshot_step(FaultNode& node);

}  // namespace panal::bench
