#pragma once

#include <string>
#include <vector>

namespace panal::storage {

/// The whole of panal-home: does one call (home_call.h) and says on stdout how it went. Returns the
/// exit status: 0 whenever it has answered.
[[nodiscard]] int run_home_program(const std::vector<std::string>& words);

}  // namespace panal::storage
