#include "runtime/optimiser/resort_processes.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "runtime/optimiser/desktop_processes.h"

namespace panal::optimiser {
namespace {

/// Without these a session ends, or can be used no more. As the kernel cuts names: 15 letters.
constexpr std::array<std::string_view, 14> kSession = {
    "icewm-session", "icewm",       "xfce4-session", "xfwm4",          "xfsettingsd",
    "xfconfd",       "dbus-daemon", "dbus-broker",   "openbox",        "mate-session",
    "marco",         "lxsession",   "startxfce4",    "at-spi-bus-laun"};

bool of_session(std::string_view name) {
  return std::find(kSession.begin(), kSession.end(), name) != kSession.end();
}

bool draws_by_name(std::string_view name) { return name.starts_with("nxagent"); }

}  // namespace

std::uint32_t importance_of(const kernel::ProcessStatus& status, pid_t leader) {
  if (status.inner_pid == 1 && status.depth == 1) return 3;
  if (draws_by_name(status.name)) return 2;
  if (leader > 1 && status.inner_pid == leader) return 1;
  return of_session(status.name) ? 1 : 0;
}

Result<std::vector<HeldProcess>> hold_processes(const Tree& tree, const kernel::Cgroup& group,
                                                const ResortProcessBudget& budget) {
  PANAL_ASSIGN(const std::vector<pid_t> pids, group.pids());
  std::vector<HeldProcess> out;
  std::vector<kernel::ProcessStatus> seen;
  pid_t agent = 0;
  for (const pid_t pid : pids) {
    if (out.size() >= budget.most || std::chrono::steady_clock::now() >= budget.deadline) break;
    auto held = hold_process_of(tree, group, pid);
    if (!held) continue;
    auto status = kernel::read_process_status(tree, pid);
    if (!status || !status->alive) continue;
    // What was read is its own if it still lives.
    if (const auto ended = held->wait_exit(std::chrono::milliseconds{0}); !ended || *ended)
      continue;
    if (status->inner_pid == 1 && status->depth == 1) agent = pid;
    policy::ResortProcess about;
    about.pid = pid;
    about.bytes = status->rss_bytes + status->swap_bytes;
    out.push_back({std::move(*held), status->name, about});
    seen.push_back(std::move(*status));
  }
  // The agent starts the session before anybody can leave it a child of his own.
  pid_t leader = 0;
  for (const kernel::ProcessStatus& one : seen)
    if (agent != 0 && one.parent == agent && one.inner_session == one.inner_pid &&
        !draws_by_name(one.name) && (leader == 0 || one.inner_pid < leader))
      leader = one.inner_pid;
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i].about.importance = importance_of(seen[i], leader);
  return out;
}

}  // namespace panal::optimiser
