#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "engine/base/result.h"

namespace panal::control {

/// One request to panald and its answer.
using Ask = std::function<Result<nlohmann::json>(const nlohmann::json& request)>;

/// The whole answer to `stats`, whose desktops panald tells in pieces that fit into a message:
/// asks until there is no `next`. Host and optimiser are as of the last piece. `request`: its other
/// fields. Errors: those of `ask`; EPROTO for an answer that is none.
[[nodiscard]] Result<nlohmann::json> ask_statistics(const Ask& ask, nlohmann::json request);

}  // namespace panal::control
