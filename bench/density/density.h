#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/base/result.h"

namespace panal::bench {

struct DensityOptions {
  std::string image = "icewm";
  std::size_t count = 5;
  /// In how many lots they are started; the slope wants five or more.
  std::size_t steps = 5;
  unsigned settle_seconds = 60;    ///< at most, before each hold
  unsigned rest_seconds = 0;       ///< after that, before it is held: for the optimiser's work
  unsigned last_rest_seconds = 0;  ///< after the last step; 0: like the others
  unsigned hold_seconds = 10;      ///< after each step
  unsigned last_hold_seconds = 0;  ///< after the last one; 0: like the others
  bool prewarm = false;
  std::uint32_t parallel_starts = 0;
  /// A tuning profile, applied to the lab's machine before anything starts; "off": no optimiser.
  std::string profile = "off";
  /// Percent of the desktops that somebody types into, and of those whose clients leave once they
  /// have settled; the others stay attached, idle.
  unsigned active_percent = 0;
  unsigned disconnected_percent = 0;
  bool must_answer = true;  ///< at the end, to a key; false: those that do not are only counted
  bool keep = false;        ///< afterwards wait for SIGINT with everything up
};

/// The scenario: a node, desktops started in lots, each with a live client as soon as it runs;
/// held, sampled, all looked at again, stopped, and nothing left. The result names:
///   steps[]: count, start seconds (first and all connected), medians while it was held
///   steps[].panald_cpu_percent, panald_pss_mib: of panald and all its helpers, by part in
///   panald_parts; percent of one core
///   marginal_mib: MemAvailable's slope less the load generator's
///   all_connected_seconds: from the first lot's command to its last desktop with a live client
///   visit: at the end everybody is looked at again, and who was away comes back
///   optimiser: its report at the end
/// Errors: those of whatever did not work.
[[nodiscard]] Result<nlohmann::json> run_density(const DensityOptions& options);

}  // namespace panal::bench
