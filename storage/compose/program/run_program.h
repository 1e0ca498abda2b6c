#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::storage {

/// Runs a program of the host's to its end: found in /usr/sbin, /usr/bin, /sbin and /bin, nothing
/// to read, few variables. What it wrote on stdout; nothing is asked of it while it runs, so it
/// must say less than 1 MiB. Errors: ENOENT "... is not installed"; ETIMEDOUT, E2BIG (it was
/// killed); EIO with the end of what it said for an exit status other than 0.
[[nodiscard]] Result<std::string> run_program(const std::vector<std::string>& argv,
                                              std::chrono::milliseconds patience);

/// Whether run_program() would find it.
[[nodiscard]] bool has_program(const std::string& name);

}  // namespace panal::storage
