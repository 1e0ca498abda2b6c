#pragma once

#include <optional>

#include "engine/base/tree.h"
#include "engine/kernel/ksm.h"

namespace panal::optimiser {

/// The environment variable that names ksmd's directory in the host's /proc, for those who run in a
/// pid namespace of their own and were given it there (scripts/lab does).
inline constexpr const char* kKsmdVariable = "PANAL_LAB_KSMD";

/// ksmd as seen from here: among the processes, else where the environment shows it. Nothing where
/// neither is: the governor then reckons ksmd's CPU time from the pages it scanned.
[[nodiscard]] std::optional<kernel::Ksmd> find_ksmd(const Tree& tree);

}  // namespace panal::optimiser
