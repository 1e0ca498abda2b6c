#pragma once

#include <vector>

#include "bench/faults/fault_steps.h"

namespace panal::bench {

/// What a node has to do with archives besides pulling from a directory: publishing.
void add_transfer_steps(FaultNode& node, std::vector<FaultStep>& steps);

}  // namespace panal::bench
