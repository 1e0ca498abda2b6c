#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/metrics/figures.h"

namespace panal::metrics {

/// The figures as Prometheus reads them (text format 0.0.4): families named
/// `panal_<area>_<what>_<unit>`, all of them in docs/metrics.md. What this kernel lacks (KSM,
/// pressure) is left out; a word that never was counted is there with 0.
[[nodiscard]] std::string text(const NodeFigures& figures);

/// The same as JSON: [{"name", "type", "help", "samples": [...]}]. A sample has "labels" (an
/// object) and "value"; of a histogram "count", "sum" and "buckets": [{"le", "count"}], cumulative,
/// without the last one, which is "count".
[[nodiscard]] nlohmann::json families(const NodeFigures& figures);

}  // namespace panal::metrics
