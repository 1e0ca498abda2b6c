#pragma once

#include <string>

#include "runtime/cli/shell.h"

namespace panal::cli {

/// What is applied on this machine, for `panal status`.
struct TuningState {
  std::string profile;  ///< empty: none
  std::string state;    ///< "applied", "drifted", "half done", "before last boot", ...
  std::string note;     ///< the profile, or what to do
};
[[nodiscard]] TuningState tuning_state(Backends& backends);

}  // namespace panal::cli
