#pragma once

#include <vector>

#include "bench/faults/fault_steps.h"

namespace panal::bench {

/// A version is committed, made known to the farm's database and published: disk and database are
/// to agree.
void add_publish_steps(FaultNode& node, std::vector<FaultStep>& steps);

}  // namespace panal::bench
