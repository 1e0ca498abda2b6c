#pragma once

#include <vector>

#include "bench/faults/fault_steps.h"

namespace panal::bench {

/// Importing a tarball, which a helper unpacks.
void add_import_steps(FaultNode& node, std::vector<FaultStep>& steps);

}  // namespace panal::bench
