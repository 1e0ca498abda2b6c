#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "engine/base/pidfd.h"
#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"
#include "engine/kernel/process_status.h"
#include "engine/policy/last_resort.h"

namespace panal::optimiser {

/// A desktop's process, held, so that nobody else is killed in its place.
struct HeldProcess {
  Pidfd held;
  std::string name;  ///< what it calls itself; for people
  policy::ResortProcess about;
};

struct ResortProcessBudget {
  std::size_t most = 256;
  std::chrono::steady_clock::time_point deadline;
};

/// Processes of the group, as many as the budget bears. What was killed and only waits for its end
/// is not among them. Errors: ENODEV when the group is gone.
[[nodiscard]] Result<std::vector<HeldProcess>> hold_processes(const Tree& tree,
                                                              const kernel::Cgroup& group,
                                                              const ResortProcessBudget& budget);

/// 0 for a program, 1 for what a session falls with, 2 for what draws, 3 for the agent. Names are a
/// desktop's own choice: they decide whom of it is killed first, and nothing else.
/// `leader`: pid, in the desktop, of the session's leader; 0: not known.
[[nodiscard]] std::uint32_t importance_of(const kernel::ProcessStatus& status, pid_t leader);

}  // namespace panal::optimiser
