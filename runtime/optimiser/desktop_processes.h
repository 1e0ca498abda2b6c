#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

#include "engine/base/pidfd.h"
#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"

namespace panal::optimiser {

struct DesktopProcess {
  pid_t pid = 0;
  bool display = false;  ///< draws: nothing is seen without it
};

/// By the name that /proc/PID/comm gives, which a desktop may choose: it decides an order and
/// nothing else.
[[nodiscard]] bool draws(const Tree& tree, pid_t pid);
[[nodiscard]] std::vector<DesktopProcess> display_last(const Tree& tree,
                                                       std::span<const pid_t> pids);

/// Holds a process by descriptor, having made sure that it is of the group: its number may have
/// become another's since the group was listed. Errors: ESRCH when it has ended or is another.
[[nodiscard]] Result<Pidfd> hold_process_of(const Tree& tree, const kernel::Cgroup& group,
                                            pid_t pid);

}  // namespace panal::optimiser
