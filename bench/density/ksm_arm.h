#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/density/ksm_compare.h"
#include "bench/density/ksm_evaluation.h"
#include "engine/policy/trace.h"

namespace panal::bench {

/// One law's run on the real ksmd.
struct KsmArmRun {
  KsmArm arm;
  nlohmann::json details;  ///< how long starts and churn took, what lived in the end
  policy::Trace trace;     ///< the governor's arm alone: what it saw and decided
  double rss_bytes = 0;    ///< the desktops' RSS when all of them had settled
};

/// Runs one arm from an empty machine to an empty machine. `full_rss_bytes`: the desktops' RSS in
/// an earlier arm, for ksmtuned's law: it is shown a host that is full with them.
/// Errors: EINVAL for an unknown arm, or ksmtuned without an earlier one; those of what failed.
[[nodiscard]] Result<KsmArmRun> run_ksm_arm(const KsmOptions& options, const std::string& name,
                                            double full_rss_bytes);

}  // namespace panal::bench
