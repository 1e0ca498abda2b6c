#pragma once

#include <memory>
#include <string>

#include "runtime/agent/prewarm.h"
#include "runtime/node/prewarm_flow.h"

namespace panal::node {

/// panal-prewarm under a throw-away user. Errors: those of agent::Prewarm::start().
[[nodiscard]] Result<std::unique_ptr<PrewarmRun>> launch_prewarm(const std::string& program,
                                                                 std::uint32_t uid, UniqueFd nx,
                                                                 const std::string& cookie);

}  // namespace panal::node
