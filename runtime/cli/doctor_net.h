#pragma once

#include <vector>

#include "runtime/cli/doctor.h"
#include "runtime/store/net_policies.h"

namespace panal::cli {

/// The file of network policies, against what is configured and who was given what.
[[nodiscard]] Check check_net_policies(const config::Config& config,
                                       const std::vector<store::NetAssignment>& given);

}  // namespace panal::cli
