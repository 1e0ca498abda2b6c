#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bench/network/paired.h"

namespace panal::bench {

/// What one lot of desktops took, each of them on average.
struct LotCost {
  bool confined = true;       ///< else by a panald without rules
  double start_ms = 0;        ///< from the command until all run, as a share of each
  double start_cpu_ms = 0;    ///< of the whole machine meanwhile, but for the load generator
  double cpu_ms = 0;          ///< the same, from the command to the hold's end
  double mib = 0;             ///< MemAvailable that is gone, less what the load generator took
  double charged_mib = 0;     ///< of the lab's charge without page cache, less the same
  double attach_seconds = 0;  ///< until each had its client
};

/// Confined to open, pair by pair.
struct ConfinementRatios {
  Ratio start, cpu, mib, charged_mib;
};

/// Which is first takes turns, so that what drifts meets both alike.
[[nodiscard]] bool confined_first(unsigned pair);
/// Whether a pair that takes as long as the longest so far ends within the limit.
[[nodiscard]] bool another_fits(double elapsed_seconds, double longest_seconds,
                                double limit_seconds);

/// Of lots in the order in which they were measured, two a pair; a last one alone is left out.
[[nodiscard]] ConfinementRatios confinement_ratios(const std::vector<LotCost>& lots);

/// What a figure says of a ratio: the lower of the bounds that it is within with 95 % certainty, as
/// only a ratio that is above the target for certain is to fail.
[[nodiscard]] double start_figure(const ConfinementRatios& ratios);
/// The same of CPU and memory, whichever is worse.
[[nodiscard]] double cost_figure(const ConfinementRatios& ratios);

[[nodiscard]] nlohmann::json to_json(const LotCost& lot);
[[nodiscard]] nlohmann::json to_json(const ConfinementRatios& ratios);
/// Both as Markdown, of run_confinement()'s result.
[[nodiscard]] std::string confinement_table(const nlohmann::json& result);

}  // namespace panal::bench
