#include "runtime/node/statistics.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "engine/kernel/meminfo.h"
#include "engine/kernel/psi.h"
#include "runtime/optimiser/optimiser.h"
#include "runtime/optimiser/program_learner.h"
#include "runtime/optimiser/rescuer.h"

namespace panal::node {

using nlohmann::json;

namespace {

json group_json(const GroupUsage& use) {
  json out = json::object();
  if (use.memory) {
    out["memory_bytes"] = use.memory->usage_bytes;
    out["anon_bytes"] = use.memory->anon_bytes;
    out["file_bytes"] = use.memory->file_bytes;
    out["swap_bytes"] = use.memory->swap_bytes;
    out["oom_kills"] = use.memory->oom_kills;
  }
  if (use.cpu) out["cpu_ns"] = use.cpu->usage_ns;
  if (use.pids) out["processes"] = *use.pids;
  return out;
}

}  // namespace

json optimiser_report(const optimiser::Optimiser& optimiser, const optimiser::Rescuer& rescuer,
                      const optimiser::ProgramLearner& programs) {
  json report = optimiser.report();
  report["last_resort"] = rescuer.report();
  report["ksm"]["programs"] = programs.report();
  for (const auto& [id, count] : rescuer.killed_processes())
    if (const auto one = report["desktops"].find(std::to_string(id));
        one != report["desktops"].end())
      (*one)["killed_processes"] = count;
  return report;
}

json statistics(Host& host, const std::string& cgroup_parent, const Reconciler& reconciler,
                const AgentHub& hub, json optimiser, DesktopId only) {
  json desktops = json::array();
  // Each desktop's own goes to its row.
  const json decided = std::exchange(optimiser["desktops"], json::object());
  optimiser.erase("desktops");
  for (const DesktopId id : reconciler.running_ids()) {
    if (only != 0 && id != only) continue;
    json one = json::object();
    const auto group = kernel::Cgroup::open(host.cgroups(), cgroup_parent + "/" + kernel_name(id));
    if (group)
      if (const auto use = group->statistics()) one = group_json(*use);
    const auto state = hub.state(id);
    one["id"] = id;
    one["pid"] = reconciler.init_pid(id);
    one["session"] = agent::to_string(state ? state->session : agent::SessionState::kNone);
    one["idle_ms"] = state ? state->idle_ms : 0;
    one["agent"] = state && state->connected;
    const auto mine = decided.find(std::to_string(id));
    if (mine != decided.end())
      one.update(*mine);
    else
      one["class"] = "disconnected";  // not seen by the optimiser yet
    desktops.push_back(std::move(one));
  }
  json about = json::object();
  if (const auto memory = kernel::read_meminfo(host.tree())) {
    about["mem_total_bytes"] = memory->total;
    about["mem_available_bytes"] = memory->available;
  }
  if (const auto use = host.parent().statistics(); use && use->memory)
    about["parent_memory_bytes"] = use->memory->usage_bytes;
  if (const auto limit = host.limit().update()) about["parent_limit_bytes"] = *limit;
  const std::pair<const char*, kernel::PressureResource> resources[] = {
      {"psi_cpu", kernel::PressureResource::kCpu},
      {"psi_memory", kernel::PressureResource::kMemory},
      {"psi_io", kernel::PressureResource::kIo}};
  for (const auto& [name, resource] : resources)
    if (const auto pressure = kernel::read_host_pressure(host.tree(), resource))
      about[name] = pressure->some.avg10_percent;
  return {{"desktops", std::move(desktops)},
          {"host", std::move(about)},
          {"optimiser", std::move(optimiser)}};
}

}  // namespace panal::node
