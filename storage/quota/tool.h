#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::storage {

/// Runs a program of the host's and waits for it: argv[0] is its name, looked for where system
/// programs are. Nothing on its stdin, no signal blocked.
/// Errors: ENOENT naming the program, EIO with its exit status and the last of what it said.
[[nodiscard]] Result<void> run_tool(const std::vector<std::string>& argv);

}  // namespace panal::storage
