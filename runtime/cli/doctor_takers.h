#pragma once

#include <vector>

#include "runtime/cli/doctor.h"
#include "runtime/optimiser/taker_choice.h"

namespace panal::cli {

/// How panald would take memory back here, each way tried on a process of our own until one works.
/// Needs root; takes some 10 ms. Forks, and makes a cgroup beside the desktops' that goes again.
[[nodiscard]] std::vector<Check> probe_takers(const config::Config& config, const Tree& tree);

/// The part that only judges, for tests.
[[nodiscard]] Check check_takers(const optimiser::TakerChoice& choice);

}  // namespace panal::cli
