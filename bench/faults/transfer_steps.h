#pragma once

#include <vector>

#include "bench/faults/fault_steps.h"

namespace panal::bench {

/// A version comes from an archive in a directory.
[[nodiscard]] FaultStep pull_step(FaultNode& node);

/// What else a node has to do with archives: publishing, and pulling over HTTPS.
void add_transfer_steps(FaultNode& node, std::vector<FaultStep>& steps);

}  // namespace panal::bench
