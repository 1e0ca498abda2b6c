#pragma once

#include <string>
#include <vector>

#include "runtime/cli/shell.h"

namespace panal::cli {

/// What is applied on this machine, for `panal status`.
struct TuningState {
  std::string profile;  ///< empty: none
  std::string state;    ///< "applied", "drifted", "half done", "before last boot", ...
  std::string note;     ///< the profile, or what to do
};
[[nodiscard]] TuningState tuning_state(const Shell& shell);

/// Settings of a profile that a panald of this machine turns now, because it governs KSM: it lives,
/// and what KSM was set to before it is on record in `machine_state_dir`. None where nobody
/// governs, or only did before it was killed. To those who may not look whether it lives this
/// node's does.
[[nodiscard]] std::vector<std::string> governed_settings(const config::Config& config,
                                                         const std::string& machine_state_dir);

}  // namespace panal::cli
