#pragma once

#include <sys/types.h>

#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

/// Parses oom_score_adj, -1000..1000. Errors: EPROTO.
[[nodiscard]] Result<int> parse_oom_score_adj(std::string_view text);

/// How much sooner (greater) than its size alone says the kernel kills a process.
/// Errors: ENOENT or ESRCH when the process is gone.
[[nodiscard]] Result<int> read_oom_score_adj(const Tree& tree, pid_t pid);
/// Errors: EINVAL out of -1000..1000; EACCES below the process's least value so far without
/// CAP_SYS_RESOURCE; ENOENT or ESRCH when the process is gone.
[[nodiscard]] Result<void> write_oom_score_adj(const Tree& tree, pid_t pid, int value);

}  // namespace panal::kernel
