#include "runtime/node/statistics.h"

#include <nlohmann/json.hpp>

#include "engine/kernel/meminfo.h"
#include "engine/kernel/psi.h"

namespace panal::node {

using nlohmann::json;

namespace {

constexpr std::uint64_t kIdleMs = 5 * 60 * 1000;

json group_json(const kernel::CgroupStatistics& use) {
  json out;
  const auto add = [&out](const char* key, const std::optional<std::uint64_t>& value) {
    if (value) out[key] = *value;
  };
  add("memory_bytes", use.memory_bytes);
  add("anon_bytes", use.anon_bytes);
  add("file_bytes", use.file_bytes);
  add("swap_bytes", use.swap_bytes);
  add("cpu_ns", use.cpu_ns);
  add("processes", use.pids);
  add("oom_kills", use.oom_kills);
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
  if (const auto use = host.parent().statistics(); use && use->memory_bytes)
    about["parent_memory_bytes"] = *use->memory_bytes;
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
