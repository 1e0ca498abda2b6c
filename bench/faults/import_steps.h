#pragma once

#include <vector>

#include "bench/faults/fault_steps.h"

namespace panal::bench {

/// Importing a tarball, which a helper unpacks, and building with a program that stands in for
/// mmdebstrap.
void add_import_steps(FaultNode& node, std::vector<FaultStep>& steps);

}  // namespace panal::bench
