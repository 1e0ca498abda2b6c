#pragma once

#include <nlohmann/json_fwd.hpp>

#include "bench/density/bench_node.h"
#include "bench/density/density.h"

namespace panal::bench {

/// What run_density() does on a node that is up: see density.h. Errors: those of whatever did not
/// work.
[[nodiscard]] Result<nlohmann::json> run_scenario(BenchNode& node, const DensityOptions& options);

}  // namespace panal::bench
