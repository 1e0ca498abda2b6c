#include "runtime/optimiser/desktop_processes.h"

#include <string>
#include <string_view>

#include "engine/kernel/small_text.h"

namespace panal::optimiser {

bool draws(const Tree& tree, pid_t pid) {
  const auto comm = tree.proc.read(std::to_string(pid) + "/comm", 64);
  return comm && comm->starts_with("nxagent");
}

std::vector<DesktopProcess> display_last(const Tree& tree, std::span<const pid_t> pids) {
  std::vector<DesktopProcess> processes;
  std::vector<DesktopProcess> last;
  processes.reserve(pids.size());
  for (const pid_t pid : pids) {
    const bool display = draws(tree, pid);
    (display ? last : processes).push_back({pid, display});
  }
  processes.insert(processes.end(), last.begin(), last.end());
  return processes;
}

Result<Pidfd> hold_process_of(const Tree& tree, const kernel::Cgroup& group, pid_t pid) {
  PANAL_ASSIGN(Pidfd held, Pidfd::open(pid));
  PANAL_ASSIGN(const std::string groups, tree.proc.read(std::to_string(pid) + "/cgroup"));
  if (kernel::is_of_group(groups, group.path())) return held;
  return fail(ESRCH, "process " + std::to_string(pid) + " is not of " + group.path());
}

}  // namespace panal::optimiser
