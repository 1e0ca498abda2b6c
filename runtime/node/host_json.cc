#include "runtime/node/host_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/kernel/cpu_times.h"
#include "engine/kernel/disk_stat.h"
#include "engine/kernel/kernel_objects.h"
#include "engine/kernel/loadavg.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/net_dev.h"
#include "engine/kernel/psi.h"
#include "engine/kernel/sysctl.h"
#include "engine/kernel/text.h"
#include "engine/model/limits.h"

namespace panal::node {

using nlohmann::json;

namespace {

void add_memory(json& out, Host& host) {
  if (const auto memory = kernel::read_meminfo(host.tree())) {
    out["mem_total_bytes"] = memory->total;
    out["mem_available_bytes"] = memory->available;
  }
  if (const auto use = host.parent().statistics(); use && use->memory)
    out["parent_memory_bytes"] = use->memory->usage_bytes;
  if (const auto limit = host.limit().update()) out["parent_limit_bytes"] = *limit;
}

void add_pressure(json& out, const Tree& tree) {
  const std::pair<const char*, kernel::PressureResource> resources[] = {
      {"psi_cpu", kernel::PressureResource::kCpu},
      {"psi_memory", kernel::PressureResource::kMemory},
      {"psi_io", kernel::PressureResource::kIo}};
  for (const auto& [name, resource] : resources)
    if (const auto pressure = kernel::read_host_pressure(tree, resource))
      out[name] = pressure->some.avg10_percent;
}

void add_busy(json& out, const Tree& tree) {
  if (const auto cpu = kernel::read_cpu_times(tree)) {
    out["cpu_busy_ns"] = cpu->user_ns + cpu->nice_ns + cpu->system_ns + cpu->irq_ns +
                         cpu->softirq_ns + cpu->steal_ns;
    out["cores"] = cpu->cores;
  }
  if (const auto disks = kernel::read_disk_stat(tree)) {
    out["disks"] = json::array();
    for (const kernel::DiskCounters& disk : *disks)
      out["disks"].push_back({{"name", disk.name},
                              {"read_bytes", disk.read_bytes},
                              {"written_bytes", disk.written_bytes},
                              {"busy_ms", disk.busy_ms}});
  }
  if (const auto links = kernel::read_net_dev(tree)) {
    out["links"] = json::array();
    for (const kernel::LinkCounters& link : *links) {
      if (link.name == "lo") continue;
      json one = {{"name", link.name},
                  {"received_bytes", link.received_bytes},
                  {"sent_bytes", link.sent_bytes},
                  {"packets", link.packets},
                  {"dropped", link.dropped}};
      if (const auto speed = kernel::read_link_speed(tree, link.name))
        one["speed_bits_per_second"] = *speed;
      out["links"].push_back(std::move(one));
    }
  }
}

/// The first number of a kernel variable; 0: it cannot be read.
std::uint64_t variable(const Tree& tree, const char* name) {
  const auto text = kernel::read_sysctl(tree, name);
  const auto words = text ? kernel::words_of(*text) : std::vector<std::string_view>();
  return words.empty() ? 0 : kernel::parse_number(words.front()).value_or(0);
}

}  // namespace

json objects_json(const Tree& tree, const kernel::Cgroup& desktops) {
  json out = json::array();
  const auto add = [&out](const std::string& name, std::uint64_t used, std::uint64_t limit) {
    if (limit > 0) out.push_back({{"name", name}, {"used", used}, {"limit", limit}});
  };
  const std::uint64_t pids = variable(tree, "kernel.pid_max");
  const std::uint64_t threads = variable(tree, "kernel.threads-max");
  if (const auto tasks = kernel::read_task_counts(tree))
    add("processes and threads", tasks->total,
        pids > 0 && threads > 0 ? std::min(pids, threads) : std::max(pids, threads));
  if (const auto files = kernel::read_open_files(tree))
    add("open files", files->used, files->limit);
  if (const auto terminals = kernel::read_terminals(tree))
    add("terminals", terminals->used, terminals->limit - terminals->reserve);
  if (const auto keys = kernel::read_root_keys(tree)) {
    add("keys of root", keys->keys.used, keys->keys.limit);
    add("bytes of root's keys", keys->bytes.used, keys->bytes.limit);
  }
  const auto most = desktops.pids_limit();
  if (!most || *most == kUnlimited) return out;
  if (const auto use = desktops.statistics(); use && use->pids)
    add("processes in group " + desktops.path(), *use->pids, *most);
  return out;
}

json host_json(Host& host) {
  json out = json::object();
  add_memory(out, host);
  add_pressure(out, host.tree());
  add_busy(out, host.tree());
  out["objects"] = objects_json(host.tree(), host.parent());
  return out;
}

}  // namespace panal::node
