#include "runtime/node/statistics.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "runtime/node/host_json.h"

namespace panal::node {

using nlohmann::json;

namespace {

constexpr std::uint64_t kKsmPageBytes = 4096;

json group_json(const GroupUsage& use) {
  json out = json::object();
  if (use.memory) {
    out["memory_bytes"] = use.memory->usage_bytes;
    out["anon_bytes"] = use.memory->anon_bytes;
    out["file_bytes"] = use.memory->file_bytes;
    out["swap_bytes"] = use.memory->swap_bytes;
    out["kernel_bytes"] = use.memory->kernel_bytes;
    out["oom_kills"] = use.memory->oom_kills;
  }
  if (use.cpu) out["cpu_ns"] = use.cpu->usage_ns;
  if (use.pids) out["processes"] = *use.pids;
  return out;
}

/// What one swapped byte takes of the host's memory: zram's use by what it holds, or zswap's pool
/// by all that is swapped out, most of which may be on a disk; 0 without either.
double compressed_share(const json& optimiser) {
  for (const auto& [name, held] :
       {std::pair{"zram", "original_bytes"}, std::pair{"zswap", "swapped_bytes"}}) {
    const auto place = optimiser.find(name);
    if (place == optimiser.end()) continue;
    const auto bytes = place->value(held, 0.0);
    // It is in a group's kernel memory then.
    if (place->value("charged_to_groups", false)) continue;
    if (const auto used = place->value("used_bytes", 0.0); bytes > 0 && used > 0)
      return used / bytes;
  }
  return 0;
}

/// Pages that others have too count by share: the sum over all desktops is what they take.
json cost_json(const CostMeter::Cost& cost, const json& usage, double compressed_share) {
  const SmapsRollup& maps = cost.sum.maps;
  // Before Linux 6.7 smaps does not tell what is merged.
  const std::uint64_t merged = std::max(maps.ksm, cost.sum.ksm.merging_pages * kKsmPageBytes);
  const auto compressed =
      static_cast<std::uint64_t>(static_cast<double>(maps.swap_pss) * compressed_share);
  const std::uint64_t kernel = usage.value("kernel_bytes", std::uint64_t{0});
  const auto age = std::chrono::steady_clock::now() - cost.at;
  return {{"total_bytes", maps.pss + compressed + kernel},
          {"pss_bytes", maps.pss},
          {"shared_bytes", maps.rss - std::min(maps.rss, maps.pss)},
          {"merged_bytes", merged},
          {"swapped_bytes", maps.swap_pss},
          {"compressed_bytes", compressed},
          {"kernel_bytes", kernel},
          {"processes", cost.sum.processes},
          {"age_ms", std::chrono::duration_cast<std::chrono::milliseconds>(age).count()}};
}

}  // namespace

json statistics(const StatisticsSources& sources, json optimiser,
                const StatisticsRequest& request) {
  const auto running = sources.reconciler.running_ids();
  if (request.cost) sources.costs.ask(running);
  json out = {{"desktops", json::array()}};
  // Each desktop's own goes to its row.
  const json decided = std::exchange(optimiser["desktops"], json::object());
  optimiser.erase("desktops");
  const double share = compressed_share(optimiser);
  for (const DesktopId id : running) {
    if (id < request.from || (request.only != 0 && id != request.only)) continue;
    if (out["desktops"].size() == kDesktopsTold) {
      out["next"] = id;
      break;
    }
    json one = json::object();
    const auto group =
        kernel::Cgroup::open(sources.host.cgroups(), sources.cgroup_parent + "/" + kernel_name(id));
    if (group)
      if (const auto use = group->statistics()) one = group_json(*use);
    if (const auto cost = request.cost ? sources.costs.cost(id) : std::nullopt)
      one["cost"] = cost_json(*cost, one, share);
    const auto state = sources.hub.state(id);
    one["id"] = id;
    one["pid"] = sources.reconciler.init_pid(id);
    one["session"] = agent::to_string(state ? state->session : agent::SessionState::kNone);
    one["idle_ms"] = state ? state->idle_ms : 0;
    one["agent"] = state && state->connected;
    const auto mine = decided.find(std::to_string(id));
    if (mine != decided.end())
      one.update(*mine);
    else
      one["class"] = "disconnected";  // not seen by the optimiser yet
    out["desktops"].push_back(std::move(one));
  }
  out["host"] = host_json(sources.host);
  out["optimiser"] = std::move(optimiser);
  return out;
}

}  // namespace panal::node
