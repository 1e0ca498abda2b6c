#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bench/density/measure.h"
#include "engine/base/result.h"

namespace panal::bench {

struct KsmOptions {
  std::string image = "xfce";
  std::size_t count = 40;
  unsigned window_seconds = 900;  ///< from the last start on; the churn comes at 8/15 of it
  unsigned churn_percent = 10;    ///< of the desktops, stopped and started again
  /// How long a client stays after the last start: its desktop's programs start meanwhile. Then
  /// it leaves, and gives the load generator's memory back.
  unsigned attached_seconds = 30;
  /// Of governor, fixed, advisor, ksmtuned; ksmtuned's law needs another arm before it, which
  /// tells how full a host the desktops make.
  std::vector<std::string> arms = {"governor", "fixed", "advisor", "ksmtuned"};
  std::string trace_file;  ///< where what the governor saw is recorded; empty: nowhere
};

/// The laws for ksmd's pace against each other, on the real one: for each law a node of its own
/// with the same living desktops, all enlisted as profile `dense` has it (but no zram: what is
/// paged out cannot be merged, and the arms would differ by that). Only ksmd's knobs differ. The
/// result has the figures ksm.*, what each arm won and spent, and its course in time.
/// Errors: EINVAL for an unknown arm; those of whatever did not work.
[[nodiscard]] Result<nlohmann::json> run_ksm(const KsmOptions& options);

/// One run measures all three figures ksm.*; the others are in `also`.
[[nodiscard]] Result<Measured> measure_ksm(const std::string& figure);

}  // namespace panal::bench
