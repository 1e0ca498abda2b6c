#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

/// Fails with a sentence unless the programs in `build`/bin are what HEAD of the repository at
/// `source` makes: nothing uncommitted (the stored results and the page made from them aside),
/// `build` configured from `source`, and nothing of `programs` left to build. A result is stored
/// under HEAD's name, so without this it could be another code's.
/// Errors: EPROTO for each of these; those of running git and ninja.
[[nodiscard]] Result<void> check_fresh(const std::string& source, const std::string& build,
                                       const std::vector<std::string>& programs);

/// What the figures measure, as build targets.
[[nodiscard]] const std::vector<std::string>& measured_programs();

/// The build directory the running program is in.
[[nodiscard]] std::string build_directory();

}  // namespace panal::bench
