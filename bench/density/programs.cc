#include "bench/density/programs.h"

#include <algorithm>
#include <array>

namespace panal::bench {
namespace {

constexpr std::string_view kNxagent = "nxagent";

}  // namespace

std::string program_name(std::string_view comm) {
  while (!comm.empty() && comm.back() == '\n') comm.remove_suffix(1);
  std::string name(comm);
  for (char& letter : name)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return name;
}

bool is_missed(std::string_view name) {
  // What bench/density/living.cc starts, and the sessions of recipes/; "cat" holds the terminal.
  static constexpr std::array<std::string_view, 13> kMissed = {
      kNxagent,      "icewm", "icewm-session", "pcmanfm", "l3afpad",  "xfce4-session",
      "xfce4-panel", "xfwm4", "xfdesktop",     "thunar",  "mousepad", "xterm",
      "cat"};
  return std::find(kMissed.begin(), kMissed.end(), name) != kMissed.end();
}

LostPrograms lost_programs(const Programs& before, const Programs& after) {
  LostPrograms out;
  for (const auto& [name, processes] : before) {
    const auto now = after.find(name);
    const bool intact =
        now != after.end() && (name == kNxagent || processes.empty() ||
                               std::any_of(processes.begin(), processes.end(),
                                           [&](pid_t pid) { return now->second.contains(pid); }));
    if (!intact) (is_missed(name) ? out.missed : out.others).push_back(name);
  }
  return out;
}

Programs expected_programs(const ProgramsByDesktop& desktops) {
  std::map<std::string, std::size_t> having;
  for (const auto& [id, programs] : desktops)
    for (const auto& [name, processes] : programs)
      if (is_missed(name)) ++having[name];
  Programs out;
  for (const auto& [name, number] : having)
    if (number * 2 >= desktops.size()) out[name] = {};
  return out;
}

ProgramsByDesktop programs_of(const Tree& tree, const BenchNode& node, const Load& load,
                              const std::vector<Account>& accounts) {
  ProgramsByDesktop out;
  for (const Account& account : accounts) {
    Programs& programs = out[account.id];
    const auto group = kernel::Cgroup::open(
        load.root(), node.config().cgroup_parent + "/d" + std::to_string(account.id));
    const auto pids = group ? group->pids() : Result<std::vector<pid_t>>();
    if (!pids) continue;
    for (const pid_t pid : *pids) {
      // One that has ended meanwhile has no name.
      const auto process = tree.proc.open_dir(std::to_string(pid));
      const auto comm = process ? process->read("comm") : Result<std::string>();
      if (comm && !comm->empty()) programs[program_name(*comm)].insert(pid);
    }
  }
  return out;
}

}  // namespace panal::bench
