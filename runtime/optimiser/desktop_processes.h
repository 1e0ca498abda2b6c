#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

#include "engine/base/tree.h"

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

}  // namespace panal::optimiser
