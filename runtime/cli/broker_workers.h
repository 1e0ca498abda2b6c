#pragma once

#include <chrono>
#include <cstddef>

#include "engine/base/result.h"
#include "runtime/config/config.h"

namespace panal::cli {

/// Ends the broker's workers that have outlived their broker: one that was killed leaves them to
/// serve their last clients to the end. Call it when no broker runs. Each is asked first (SIGTERM:
/// it writes its session rows), and killed when it has not ended within `grace`. How many there
/// were. Errors: those of looking for them.
[[nodiscard]] Result<std::size_t> end_broker_workers(const config::Config& config,
                                                     std::chrono::milliseconds grace);

}  // namespace panal::cli
