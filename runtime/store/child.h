#pragma once

#include <string>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/store/private_cluster.h"

namespace panal::store {

/// Forks and execs with the program's ids, environment and directory; stdin is empty, stdout and
/// stderr are `output`. The caller reaps. Errors: of fork; an exec that fails exits with 127 and
/// says why on `output`.
[[nodiscard]] Result<Pidfd> spawn(const ServerProgram& program, const UniqueFd& output);

/// Runs it to its end. Errors: EPROTO with the last lines of what it said when its exit code is not
/// 0.
[[nodiscard]] Result<void> run_to_end(const ServerProgram& program);

}  // namespace panal::store
