#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

/// What KSM had won and spent at one moment.
struct KsmPoint {
  double seconds = 0;  ///< since the last start; negative before
  double profit_bytes = 0;
  double pages_shared = 0;
  double pages_sharing = 0;
  double ksmd_cpu_seconds = 0;  ///< since the arm began
  double cow_pages = 0;         ///< writes to merged pages since then
  double pages_to_scan = 0;     ///< the pace at that moment
  double sleep_ms = 0;
};

/// One law's run.
struct KsmArm {
  std::string name;
  std::vector<KsmPoint> points;  ///< about one a second, in order of time
};

struct KsmArmResult {
  std::string name;
  double best_profit_bytes = 0;         ///< the highest within the window
  double final_profit_bytes = 0;        ///< the mean of its last fifteenth
  double cpu_seconds = 0;               ///< ksmd's within the window
  double starts_cpu_seconds = 0;        ///< ksmd's before it, while desktops started
  double cow_pages = 0;                 ///< within the window
  std::optional<double> to_90_seconds;  ///< from the last start until 90 % of the common final
                                        ///< profit; at least 1; absent: never
};

/// The figures ksm.*. Absent where the arms they compare did not run.
struct KsmVerdict {
  std::vector<KsmArmResult> arms;
  std::string best;                    ///< of the others, whose final profit is the highest
  double common_profit_bytes = 0;      ///< the least final profit of all arms that won anything
  std::optional<double> profit_ratio;  ///< the governor's final profit to the best other's
  std::optional<double> cpu_ratio;     ///< the governor's CPU time in the window to that arm's
  std::optional<double> speedup;       ///< ksmtuned's time to 90 % of the common profit to ours
};

inline constexpr const char* kGovernorArm = "governor";
inline constexpr const char* kKsmtunedArm = "ksmtuned";

/// Errors: ENODATA when an arm has no points at the end of the window, or no arm won anything.
[[nodiscard]] Result<KsmVerdict> evaluate_ksm(const std::vector<KsmArm>& arms,
                                              double window_seconds);

}  // namespace panal::bench
