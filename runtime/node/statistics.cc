#include "runtime/node/statistics.h"

#include <nlohmann/json.hpp>

#include "engine/kernel/meminfo.h"
#include "engine/kernel/psi.h"

namespace panal::node {

using nlohmann::json;

namespace {

constexpr std::uint64_t kIdleMs = 5 * 60 * 1000;

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

std::string_view session_class(const std::optional<AgentState>& state) {
  if (!state || state->session != agent::SessionState::kConnected) return "disconnected";
  return state->idle_ms >= kIdleMs ? "idle" : "active";
}

json statistics(Host& host, const std::string& cgroup_parent, const Reconciler& reconciler,
                const AgentHub& hub, DesktopId only) {
  json desktops = json::array();
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
    one["class"] = session_class(state);
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
  return {{"desktops", std::move(desktops)}, {"host", std::move(about)}};
}

}  // namespace panal::node
