#include "bench/density/sampler.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <set>
#include <thread>

#include "engine/kernel/meminfo.h"
#include "engine/kernel/smaps.h"
#include "engine/kernel/text.h"

namespace panal::bench {
namespace {

double now_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double value_of(std::uint64_t value) { return static_cast<double>(value); }
MemoryStatistics memory_of(const GroupUsage& use) {
  return use.memory.value_or(MemoryStatistics{});
}
/// Page cache counts as available; it belongs to nobody in particular.
double without_cache(const GroupUsage& use) {
  return value_of(memory_of(use).usage_bytes) - value_of(memory_of(use).file_bytes);
}
double cpu_of(const GroupUsage& use) { return value_of(use.cpu.value_or(GroupCpu{}).usage_ns); }

Result<std::optional<GroupUsage>> group_use(const kernel::CgroupRoot& root,
                                            const std::string& path) {
  const auto group = kernel::Cgroup::open(root, path);
  if (!group && group.error().is_gone()) return std::nullopt;
  if (!group) return tl::make_unexpected(group.error());
  PANAL_ASSIGN(auto use, group->statistics());
  return use;
}

/// CPU time of a process in ns, all its threads.
double cpu_ns(const Dir& process) {
  const auto threads = process.list("task");
  double sum = 0;
  if (!threads) return 0;
  for (const auto& thread : *threads) {
    const auto text = process.read("task/" + thread + "/schedstat");
    std::uint64_t value = 0;
    if (text && std::from_chars(text->data(), text->data() + text->size(), value).ec == std::errc())
      sum += static_cast<double>(value);
  }
  return sum;
}

bool is_panalds(const std::string& name) {
  return std::find(std::begin(kPanaldParts), std::end(kPanaldParts), name) !=
         std::end(kPanaldParts);
}

const std::set<std::string>& helper_names() {
  static const std::set<std::string> names = {"panald", "panal-spawner", "panal-broker",
                                              "panal",  "postgres",      "panal-prewarm"};
  return names;
}

}  // namespace

std::optional<double> cpu_with_ended_ns(std::string_view stat, double tick_ns) {
  // The second field is the program's name, which may hold blanks and brackets.
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  const auto words = kernel::words_of(stat.substr(name_end + 1));
  constexpr std::size_t kUtime = 11;  // field 14, of those after the name
  if (words.size() < kUtime + 4) return std::nullopt;
  double sum = 0;
  for (std::size_t i = kUtime; i < kUtime + 4; ++i) {
    const auto ticks = kernel::parse_number(words[i]);
    if (!ticks) return std::nullopt;
    sum += static_cast<double>(*ticks) * tick_ns;
  }
  return sum;
}

Result<double> pss_bytes(const Tree& tree, pid_t pid) {
  PANAL_ASSIGN(const SmapsRollup maps, kernel::read_smaps_rollup(tree, pid));
  return static_cast<double>(maps.pss);
}

Result<Sampler> Sampler::make(const BenchNode& node, const Load& load) {
  PANAL_ASSIGN(auto tree, Tree::open_system());
  Sampler out(std::move(tree), node, load);
  out.began_ = now_seconds();
  return out;
}

Result<Sample> Sampler::sample() const {
  Sample out;
  out.seconds = now_seconds() - began_;
  PANAL_ASSIGN(const auto memory, kernel::read_meminfo(tree_));
  out.available = static_cast<double>(memory.available);
  PANAL_ASSIGN(const auto desktops, group_use(load_.root(), node_.config().cgroup_parent));
  if (desktops) {
    out.desktops_charge = value_of(memory_of(*desktops).usage_bytes);
    out.desktops_anon = value_of(memory_of(*desktops).anon_bytes);
    out.desktops_cpu = cpu_of(*desktops);
  }
  PANAL_ASSIGN(const auto monitors,
               group_use(load_.root(), node_.config().cgroup_monitor_parent()));
  if (monitors) out.monitors_cpu = cpu_of(*monitors);
  PANAL_ASSIGN(const auto load, load_.group().statistics());
  out.load_charge = std::max(0.0, without_cache(load));
  out.load_swap = value_of(memory_of(load).swap_bytes);
  out.load_cpu = cpu_of(load);
  const char* lab_name = std::getenv("PANAL_LAB_CGROUP");
  PANAL_ASSIGN(const auto lab, group_use(load_.root(), lab_name == nullptr ? "" : lab_name));
  if (lab) out.lab_charge = without_cache(*lab);
  return out;
}

Result<Census> Sampler::census(bool with_memory) const {
  Census out;
  const auto pids_of = [&](const std::string& path) {
    std::set<pid_t> pids;
    if (const auto group = kernel::Cgroup::open(load_.root(), path))
      if (const auto list = group->pids()) pids.insert(list->begin(), list->end());
    return pids;
  };
  const auto desktops = pids_of(node_.config().cgroup_parent);
  const auto monitors = pids_of(node_.config().cgroup_monitor_parent());
  const auto loaders = pids_of(load_.group().path());
  const double tick_ns = 1e9 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  PANAL_ASSIGN(const auto entries, tree_.proc.list());
  for (const auto& entry : entries) {
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), pid);
    if (error != std::errc() || end != entry.data() + entry.size()) continue;
    const auto process = tree_.proc.open_dir(entry);
    if (!process) continue;
    auto name = process->read("comm");
    if (!name) continue;
    while (!name->empty() && name->back() == '\n') name->pop_back();
    if (desktops.count(pid) > 0) {
      ++out.programs[*name];
      continue;
    }
    const bool monitor = monitors.count(pid) > 0;
    if (monitor) *name = "monitor";
    if (!monitor && loaders.count(pid) == 0 && helper_names().count(*name) == 0) continue;
    ++out.processes[*name];
    if (is_panalds(*name)) {
      const auto stat = process->read("stat");
      out.cpu[*name] += stat ? cpu_with_ended_ns(*stat, tick_ns).value_or(0) : 0;
    } else {
      out.cpu[*name] += cpu_ns(*process);
    }
    if (!with_memory) continue;
    if (const auto pss = pss_bytes(tree_, pid)) out.pss[*name] += *pss;
  }
  return out;
}

Result<bool> Sampler::settle(std::size_t desktops, double cores_each,
                             std::chrono::seconds patience) const {
  const double deadline = now_seconds() + static_cast<double>(patience.count());
  int quiet = 0;
  PANAL_ASSIGN(auto before, sample());
  while (now_seconds() < deadline) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    PANAL_ASSIGN(const auto now, sample());
    const double cores =
        (now.desktops_cpu - before.desktops_cpu) / 1e9 / (now.seconds - before.seconds);
    before = now;
    quiet = cores < cores_each * static_cast<double>(desktops) + 0.005 ? quiet + 1 : 0;
    if (quiet >= 3) return true;
  }
  return false;
}

}  // namespace panal::bench
