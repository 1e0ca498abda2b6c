#include "runtime/optimiser/gatekeeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "engine/kernel/loadavg.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/psi.h"
#include "engine/kernel/sysctl.h"
#include "engine/kernel/text.h"
#include "runtime/optimiser/enclosing_groups.h"
#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {
namespace {

constexpr double kBytesPerMib = 1024.0 * 1024;
/// Until this node has measured it: an XFCE desktop with something open.
constexpr double kFirstMemory = 100;  // MiB
constexpr double kFirstTasks = 40;
/// The host's own processes, and what desktops will still start.
constexpr double kTaskReserve = 0.10;

/// 0 where the kernel does not say.
double limit_of(const Tree& tree, const char* name) {
  const auto text = kernel::read_sysctl(tree, name);
  return static_cast<double>(text ? kernel::parse_number(*text).value_or(0) : 0);
}

policy::MarginalCost cost_of(const policy::CostSamples& samples, double first) {
  policy::MarginalCost cost = samples.fit();
  // A slope of nothing is noise: something is always taken.
  if (!cost.measured || cost.each <= 0) {
    cost = {};
    cost.each = first;
  }
  return cost;
}

double in_mib(std::uint64_t bytes) { return static_cast<double>(bytes) / kBytesPerMib; }

/// What is in use within a group and no page cache, in MiB.
double used_in(const GroupRoom& group) {
  return in_mib(group.limit_bytes) - in_mib(group.available_bytes);
}

double room_in(const policy::Resource& memory) {
  return memory.limit - memory.reserve - memory.used;
}

/// Of what counts memory, that in which the fewest fit.
const policy::Resource& tightest_memory(const std::vector<policy::Resource>& all) {
  const policy::Resource* least = &all.front();
  for (const policy::Resource& one : all)
    if (one.kind == policy::ResourceKind::kMemory &&
        room_in(one) / one.cost.each < room_in(*least) / least->cost.each)
      least = &one;
  return *least;
}

std::uint64_t bytes_of(double mebibytes) {
  return mebibytes <= 0 ? 0 : static_cast<std::uint64_t>(mebibytes * kBytesPerMib);
}

}  // namespace

struct Gatekeeper::Look {
  HostMemory memory;
  kernel::TaskCounts tasks;
  PressureSet pressure;
  std::vector<std::optional<GroupRoom>> groups;  ///< in the order of Parts::groups
};

Result<Gatekeeper::Look> Gatekeeper::look() const {
  Look look;
  PANAL_ASSIGN(look.memory, kernel::read_meminfo(parts_.tree));
  PANAL_ASSIGN(look.tasks, kernel::read_task_counts(parts_.tree));
  PANAL_ASSIGN(look.pressure, kernel::read_host_pressures(parts_.tree));
  for (const kernel::Cgroup& group : parts_.groups) look.groups.push_back(room_of(group));
  return look;
}

std::vector<policy::Resource> Gatekeeper::resources(const Look& look) const {
  policy::Resource memory;
  memory.name = "memory";
  memory.unit = "MiB";
  memory.kind = policy::ResourceKind::kMemory;
  memory.limit = in_mib(look.memory.total);
  memory.used = in_mib(look.memory.total - look.memory.available);
  memory.reserve = in_mib(parts_.reserve_bytes);
  memory.cost = cost_of(memory_, kFirstMemory);
  std::vector<policy::Resource> all = {memory};
  for (std::size_t i = 0; i < look.groups.size(); ++i) {
    if (!look.groups[i]) continue;
    memory.name = "memory in group " + parts_.groups[i].path();
    memory.limit = in_mib(look.groups[i]->limit_bytes);
    memory.used = used_in(*look.groups[i]);
    memory.reserve = in_mib(look.groups[i]->reserve_bytes);
    memory.cost = cost_of(in_groups_[i], kFirstMemory);
    all.push_back(memory);
  }

  policy::Resource tasks;
  tasks.name = "processes and threads";
  tasks.kind = policy::ResourceKind::kKernelObjects;
  const double pids = limit_of(parts_.tree, "kernel.pid_max");
  const double threads = limit_of(parts_.tree, "kernel.threads-max");
  tasks.limit = pids > 0 && threads > 0 ? std::min(pids, threads) : std::max(pids, threads);
  tasks.used = look.tasks.total;
  tasks.reserve = tasks.limit * kTaskReserve;
  tasks.cost = cost_of(tasks_, kFirstTasks);
  if (tasks.limit > 0) all.push_back(tasks);
  return all;
}

void Gatekeeper::expect(std::vector<policy::Resource>& all) {
  std::vector<double> used;
  for (const policy::Resource& one : all) used.push_back(one.used);
  lately_.saw(monotonic_ns(), std::move(used));
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i].cost.measured) all[i].used = lately_.expected(i, all[i].cost.each);
}

void Gatekeeper::ended(std::chrono::nanoseconds took) {
  gate_.ended(took.count());
  lately_.started(monotonic_ns());
}

std::optional<StartWait> Gatekeeper::ask(std::string_view image, std::uint32_t in_flight) {
  const auto now = look();
  if (!now) return std::nullopt;
  last_ = resources(*now);
  expect(last_);
  const policy::Resource& memory = tightest_memory(last_);
  policy::StartGateInput input;
  input.at_ns = monotonic_ns();
  input.pressure = now->pressure;
  input.run_queue = now->tasks.runnable;
  input.cores = std::max(1U, std::thread::hardware_concurrency());
  input.available_bytes = bytes_of(memory.limit - memory.used);
  input.reserve_bytes = bytes_of(memory.reserve);
  input.start_bytes = bytes_of(memory.cost.each);
  input.in_flight = in_flight;
  const policy::StartGateDecision decision = gate_.decide(input);
  const std::string full = policy::refusal(image, last_);
  if (!full.empty()) {
    const std::size_t first_out = capacity().first_out;
    return StartWait{
        full, true, first_out < last_.size() ? policy::to_string(last_[first_out].kind) : "memory"};
  }
  if (in_flight >= parts_.most_at_once)
    return StartWait{fmt::format("as many desktops start ({}) as there are workers", in_flight),
                     false, "workers"};
  if (decision.may_start > 0) return std::nullopt;
  switch (decision.reason) {
    case policy::GateReason::kStalls:
      return StartWait{fmt::format("the host waits for memory or disk; starting: {}", in_flight),
                       false, "stalls"};
    case policy::GateReason::kMemory:
      return StartWait{
          fmt::format("those that start ({}) will need the memory that is left", in_flight),
          in_flight == 0, "memory"};
    case policy::GateReason::kOpen:
    case policy::GateReason::kWindowFull: break;
  }
  return StartWait{fmt::format("as many desktops start ({}) as the host bears", in_flight), false,
                   "window"};
}

void Gatekeeper::learn(std::size_t running) {
  const auto now = look();
  if (!now) return;
  last_ = resources(*now);
  // The first one brings what all share: it is no measure of one more.
  if (running == 0) return;
  const auto count = static_cast<double>(running);
  memory_.add(count, last_.front().used);
  tasks_.add(count, now->tasks.total);
  for (std::size_t i = 0; i < now->groups.size(); ++i)
    if (now->groups[i]) in_groups_[i].add(count, used_in(*now->groups[i]));
}

std::string Gatekeeper::room() const {
  const policy::Capacity now = policy::capacity(last_);
  if (last_.empty() || now.first_out == SIZE_MAX) return "not known yet";
  return fmt::format("{} more desktops fit, by {}; {} runs out first", now.more,
                     now.measured ? "what this node measured" : "estimate",
                     last_[now.first_out].name);
}

}  // namespace panal::optimiser
