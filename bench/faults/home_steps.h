#pragma once

#include <vector>

#include "bench/faults/fault_steps.h"

namespace panal::bench {

/// What becomes of homes that are file systems in files: made, removed, written to a backup,
/// restored over what they were.
void add_home_steps(FaultNode& node, std::vector<FaultStep>& steps);

}  // namespace panal::bench
