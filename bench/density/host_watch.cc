#include "bench/density/host_watch.h"

#include <sys/resource.h>

#include <future>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "bench/density/stopwatch.h"
#include "bench/density/units.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/smaps.h"
#include "engine/kernel/vmstat.h"
#include "engine/kernel/zram.h"
#include "runtime/optimiser/ksmd.h"

namespace panal::bench {
namespace {

using nlohmann::json;

constexpr int kLowestPriority = 19;
/// Of swap counters and KSM's.
constexpr double kPageBytes = 4096;

double mib(std::uint64_t bytes) { return static_cast<double>(bytes) / kMib; }

double between(std::uint64_t begin, std::uint64_t end) {
  return static_cast<double>(end) - static_cast<double>(begin);
}

void put_line(json& out, const std::string& name, const PressureLine& begin,
              const PressureLine& end, double seconds) {
  out[name + "_avg60_percent"] = end.avg60_percent;
  out[name + "_percent"] =
      seconds > 0 ? between(begin.total_us, end.total_us) / 1e4 / seconds : 0.0;
}

json describe_pressure(const PressureSet& begin, const PressureSet& end, double seconds) {
  json out = json::object();
  const auto put = [&](const char* resource, const std::optional<Pressure>& first,
                       const std::optional<Pressure>& last) {
    if (!first || !last) return;
    put_line(out[resource], "some", first->some, last->some, seconds);
    if (first->full && last->full)
      put_line(out[resource], "full", *first->full, *last->full, seconds);
  };
  put("cpu", begin.cpu, end.cpu);
  put("memory", begin.memory, end.memory);
  put("io", begin.io, end.io);
  return out;
}

}  // namespace

Result<HostWatch> HostWatch::make(const BenchNode& node, const Load& load) {
  PANAL_ASSIGN(auto tree, Tree::open_system());
  HostWatch out(std::move(tree), node, load);
  out.ksmd_ = optimiser::find_ksmd(out.tree_);
  return out;
}

HostMoment HostWatch::look() const {
  HostMoment out;
  out.host = kernel::read_host_pressures(tree_).value_or(PressureSet{});
  if (const auto group = kernel::Cgroup::open(load_.root(), node_.config().cgroup_parent))
    out.desktops = group->pressures().value_or(PressureSet{});
  out.zram = kernel::read_zram(tree_).value_or(ZramStatistics{});
  out.memory = kernel::read_meminfo(tree_).value_or(HostMemory{});
  out.vm = kernel::read_vmstat(tree_).value_or(VmCounters{});
  if (auto ksm = kernel::read_ksm_counters(tree_)) {
    if (const auto cpu = ksmd_ ? ksmd_->cpu_ns() : Result<std::uint64_t>(fail(ENOENT, "ksmd")))
      ksm->ksmd_cpu_ns = *cpu;
    out.ksm = *ksm;
  }
  return out;
}

Result<DesktopsMemory> HostWatch::walk() const {
  const auto begin = Clock::now();
  DesktopsMemory out;
  PANAL_ASSIGN(const auto group, kernel::Cgroup::open(load_.root(), node_.config().cgroup_parent));
  PANAL_ASSIGN(const auto pids, group.pids());
  for (const pid_t pid : pids) {
    const auto maps = kernel::read_smaps_rollup(tree_, pid);
    if (!maps) continue;  // it has ended
    kernel::add(out.maps, *maps);
    ++out.processes;
  }
  out.seconds = seconds_since(begin);
  return out;
}

Result<DesktopsMemory> HostWatch::walk_desktops() const {
  // Priority is a thread's own on Linux, and none gets its former one back without privilege.
  return std::async(std::launch::async,
                    [this]() -> Result<DesktopsMemory> {
                      (void)::setpriority(PRIO_PROCESS, 0, kLowestPriority);
                      return walk();
                    })
      .get();
}

json describe(const HostMoment& begin, const HostMoment& end, double seconds) {
  json out = {{"pressure",
               {{"host", describe_pressure(begin.host, end.host, seconds)},
                {"desktops", describe_pressure(begin.desktops, end.desktops, seconds)}}},
              {"zram",
               {{"original_mib", mib(end.zram.original)},
                {"compressed_mib", mib(end.zram.compressed)},
                {"used_mib", mib(end.zram.used)}}},
              {"zswap",
               {{"original_mib", mib(end.memory.zswap_original)},
                {"used_mib", mib(end.memory.zswap_pool)},
                {"swapped_mib", mib(end.memory.swap_total - end.memory.swap_free)}}},
              {"swap_in_mib", between(begin.vm.swap_in, end.vm.swap_in) * kPageBytes / kMib},
              {"swap_out_mib", between(begin.vm.swap_out, end.vm.swap_out) * kPageBytes / kMib}};
  if (!end.ksm) return out;
  const KsmCounters& ksm = *end.ksm;
  out["ksm"] = {{"profit_mib", static_cast<double>(ksm.general_profit_bytes) / kMib},
                {"shared_pages", ksm.pages_shared},
                {"sharing_pages", ksm.pages_sharing},
                {"full_scans", ksm.full_scans_total},
                {"cow_pages", between(begin.vm.cow_ksm, end.vm.cow_ksm)}};
  if (!ksm.ksmd_cpu_ns || !begin.ksm || !begin.ksm->ksmd_cpu_ns || seconds <= 0) return out;
  out["ksm"]["ksmd_cpu_percent"] =
      between(*begin.ksm->ksmd_cpu_ns, *ksm.ksmd_cpu_ns) / 1e7 / seconds;
  return out;
}

json describe(const DesktopsMemory& memory) {
  return {{"pss_mib", mib(memory.maps.pss)},
          {"pss_anon_mib", mib(memory.maps.pss_anon)},
          {"pss_file_mib", mib(memory.maps.pss_file)},
          {"swap_pss_mib", mib(memory.maps.swap_pss)},
          {"merged_mib", mib(memory.maps.ksm)},
          {"processes", memory.processes},
          {"walk_seconds", memory.seconds}};
}

}  // namespace panal::bench
