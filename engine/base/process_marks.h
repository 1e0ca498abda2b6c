#pragma once

#include <string>
#include <vector>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal {

/// A file in which processes are marked for as long as they live: each holds a record lock on the
/// byte of its pid. The kernel says whose a lock is, and takes it away with the process, whatever
/// ended it: there is nothing to clean up, and no pid that could be another's by now.
///
/// Kernel: fcntl(2), F_SETLK. Such locks belong to the process and not to the descriptor: children
/// do not inherit them, and a process that closes any descriptor of the file loses its own.

/// The file, made with mode 0600 where there is none. Errors: those of open(2).
[[nodiscard]] Result<UniqueFd> open_process_marks(const std::string& file);

/// Marks this process until it ends or closes `marks`, which may have been inherited.
/// Errors: those of fcntl(2).
[[nodiscard]] Result<void> mark_this_process(int marks);

/// Who is marked but for this process, each held and still marked while it was held; those of a pid
/// namespace that is not seen from here are left out. Empty where there is no such file.
/// Errors: those of open(2) and fcntl(2).
[[nodiscard]] Result<std::vector<Pidfd>> marked_processes(const std::string& file);

}  // namespace panal
