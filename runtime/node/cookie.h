#pragma once

#include <string>

#include "engine/base/result.h"

namespace panal::node {

/// 32 random hex digits for one attach. Errors: those of getrandom(2).
[[nodiscard]] Result<std::string> make_cookie();

}  // namespace panal::node
