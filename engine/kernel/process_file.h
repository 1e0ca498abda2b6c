#pragma once

#include <sys/types.h>

#include <string>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

/// The path of the file a process runs, as its own root has it: /proc/PID/exe. A link of the
/// kernel's, but what the file is called is its owner's choice; " (deleted)" follows where it has
/// no name any more. Errors: ENOENT or ESRCH when the process is gone, or has no such file; EACCES.
[[nodiscard]] Result<std::string> read_process_file(const Tree& tree, pid_t pid);

}  // namespace panal::kernel
