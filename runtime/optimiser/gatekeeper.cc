#include "runtime/optimiser/gatekeeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "engine/kernel/loadavg.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/psi.h"
#include "engine/kernel/sysctl.h"
#include "engine/kernel/text.h"
#include "engine/policy/units.h"
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
/// While starts wait, what the kernel allows so many of is looked at this often.
constexpr MonotonicNs kLimitsEvery = 10 * policy::kSecond;

/// 0 where the kernel does not say.
double limit_of(const Tree& tree, const char* name) {
  const auto text = kernel::read_sysctl(tree, name);
  return static_cast<double>(text ? kernel::parse_number(*text).value_or(0) : 0);
}

policy::MarginalCost cost_or(policy::MarginalCost cost, double first) {
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

double used_of(const HostMemory& memory) { return in_mib(memory.total - memory.available); }

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

std::string stall_words(const std::optional<policy::GateStall>& stall) {
  if (!stall) return "the host waits for memory or disk";
  return fmt::format("{} tasks wait for {} {:.1f} % of the time, {:.1f} % is borne",
                     stall->all ? "all" : "some", stall->resource, 100 * stall->share,
                     100 * stall->most);
}

/// One of these each desktop has, and no more.
policy::Resource one_each(const char* name, policy::ResourceKind kind, double used, double limit) {
  policy::Resource one;
  one.name = name;
  one.kind = kind;
  one.used = used;
  one.limit = limit;
  one.cost.each = 1;
  one.cost.measured = true;
  return one;
}

}  // namespace

StartWait shut_by_last_resort(std::string why) {
  return {std::move(why), true, policy::to_string(policy::ResourceKind::kMemory)};
}

struct Gatekeeper::Look {
  HostMemory memory;
  kernel::TaskCounts tasks;
  PressureSet pressure;
  std::vector<std::optional<GroupRoom>> groups;  ///< in the order of Parts::groups
};

Gatekeeper::Gatekeeper(Parts parts)
    : parts_(std::move(parts)),
      gate_(parts_.gate),
      in_groups_(parts_.groups.size()),
      limits_(parts_.tree),
      rates_(parts_.tree) {
  if (!parts_.now) parts_.now = monotonic_ns;
}

Result<Gatekeeper::Look> Gatekeeper::look() const {
  Look look;
  PANAL_ASSIGN(look.memory, kernel::read_meminfo(parts_.tree));
  PANAL_ASSIGN(look.tasks, kernel::read_task_counts(parts_.tree));
  PANAL_ASSIGN(look.pressure, kernel::read_host_pressures(parts_.tree));
  for (const kernel::Cgroup& group : parts_.groups) look.groups.push_back(room_of(group));
  return look;
}

void Gatekeeper::count_memory(const Look& look) {
  policy::Resource memory;
  memory.name = "memory";
  memory.unit = "MiB";
  memory.kind = policy::ResourceKind::kMemory;
  memory.limit = in_mib(look.memory.total);
  memory.used = used_of(look.memory);
  memory.reserve = in_mib(parts_.reserve_bytes);
  memory.cost = cost_or(memory_.cost, kFirstMemory);
  seen_.push_back({memory, Weigh::kMemory, true});
  for (std::size_t i = 0; i < look.groups.size(); ++i) {
    if (!look.groups[i]) continue;
    memory.name = "memory in group " + parts_.groups[i].path();
    memory.limit = in_mib(look.groups[i]->limit_bytes);
    memory.used = used_in(*look.groups[i]);
    memory.reserve = in_mib(look.groups[i]->reserve_bytes);
    memory.cost = cost_or(in_groups_[i].cost, kFirstMemory);
    seen_.push_back({memory, Weigh::kMemory, true});
  }
}

void Gatekeeper::count_exact(double desktops) {
  if (parts_.id_ranges > 0)
    seen_.push_back({one_each("id ranges of desktops", policy::ResourceKind::kKernelObjects,
                              desktops, parts_.id_ranges),
                     std::nullopt, false});
  if (parts_.addresses > 0)
    seen_.push_back({one_each("addresses of the desktops' network", policy::ResourceKind::kNetwork,
                              desktops, parts_.addresses),
                     std::nullopt, false});
}

void Gatekeeper::count(const Look& look, std::uint32_t in_flight) {
  seen_.clear();
  count_memory(look);
  policy::Resource tasks;
  tasks.name = "processes and threads";
  tasks.kind = policy::ResourceKind::kKernelObjects;
  const double pids = limit_of(parts_.tree, "kernel.pid_max");
  const double threads = limit_of(parts_.tree, "kernel.threads-max");
  tasks.limit = pids > 0 && threads > 0 ? std::min(pids, threads) : std::max(pids, threads);
  tasks.used = look.tasks.total;
  tasks.reserve = tasks.limit * kTaskReserve;
  tasks.cost = cost_or(tasks_.cost, kFirstTasks);
  const policy::MarginalCost task = tasks.cost;
  if (tasks.limit > 0) seen_.push_back({std::move(tasks), Weigh::kTasks, true});
  limits_.add_to(seen_, task);

  const double desktops = policy::total_of(census_.counts()) + in_flight;
  count_exact(desktops);
  policy::Resource cpu = rates_.cpu(desktops);
  // It is the price of the mean desktop; here that of one of weight 1 stands.
  cpu.cost.each /= census_.weights(Weigh::kCpu).mean(census_.counts());
  seen_.push_back({std::move(cpu), Weigh::kCpu, false});
  seen_.push_back({rates_.disk(desktops), std::nullopt, false});
  seen_.push_back({rates_.link(desktops), std::nullopt, false});
}

double Gatekeeper::weight(const Counted& one, std::string_view image) const {
  if (!one.by || !one.resource.cost.measured) return 1;
  const policy::ImageWeights& weights = census_.weights(*one.by);
  return image.empty() ? weights.mean(census_.counts()) : weights.of(image);
}

std::vector<policy::Resource> Gatekeeper::resources(std::string_view image) const {
  std::vector<policy::Resource> all;
  all.reserve(seen_.size());
  for (const Counted& one : seen_) {
    all.push_back(one.resource);
    all.back().cost.each *= weight(one, image);
  }
  return all;
}

void Gatekeeper::expect() {
  std::vector<double> used;
  used.reserve(seen_.size());
  for (const Counted& one : seen_) used.push_back(one.resource.used);
  lately_.saw(parts_.now(), std::move(used));
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    policy::Resource& one = seen_[i].resource;
    if (seen_[i].grows && one.cost.measured)
      one.used = lately_.expected(i, one.cost.each * weight(seen_[i], {}));
  }
}

void Gatekeeper::ended(std::chrono::nanoseconds took) {
  gate_.ended(took.count());
  lately_.started(parts_.now());
}

void Gatekeeper::came(DesktopId id, std::string_view image) {
  census_.came(id, image, parts_.now());
}

void Gatekeeper::saw(const std::vector<GroupSnapshot>& desktops, std::uint64_t ksmd_cpu_ns) {
  census_.saw(desktops);
  rates_.gives_way(ksmd_cpu_ns);
}

std::optional<StartWait> Gatekeeper::ask(std::string_view image, std::uint32_t in_flight) {
  auto wait = decide(image, in_flight);
  waits_ = wait ? wait->reason : std::string();
  asked_at_ns_ = parts_.now();
  return wait;
}

std::optional<StartWait> Gatekeeper::decide(std::string_view image, std::uint32_t in_flight) {
  const auto now = look();
  if (!now) return std::nullopt;
  const MonotonicNs now_ns = parts_.now();
  if (limits_at_ns_ == 0 || now_ns - limits_at_ns_ >= kLimitsEvery) {
    limits_.look(parts_.groups);
    limits_at_ns_ = now_ns;
  }
  count(*now, in_flight);
  expect();
  const std::vector<policy::Resource> all = resources(image);
  const policy::Resource& memory = tightest_memory(all);
  policy::StartGateInput input;
  input.at_ns = now_ns;
  input.pressure = now->pressure;
  input.run_queue = now->tasks.runnable;
  input.cores = std::max(1U, std::thread::hardware_concurrency());
  input.available_bytes = bytes_of(memory.limit - memory.used);
  input.reserve_bytes = bytes_of(memory.reserve);
  input.start_bytes = bytes_of(memory.cost.each);
  input.in_flight = in_flight;
  const policy::StartGateDecision decision = gate_.decide(input);
  const std::string full = policy::refusal(image, all);
  if (!full.empty()) {
    const std::size_t first_out = policy::capacity(all).first_out;
    return StartWait{full, true, policy::to_string(all[first_out].kind)};
  }
  if (in_flight >= parts_.most_at_once)
    return StartWait{fmt::format("as many desktops start ({}) as there are workers", in_flight),
                     false, "workers"};
  if (decision.may_start > 0) return std::nullopt;
  switch (decision.reason) {
    case policy::GateReason::kStalls:
      return StartWait{fmt::format("{}; starting: {}", stall_words(gate_.stall()), in_flight),
                       false, "stalls"};
    case policy::GateReason::kMemory:
      return StartWait{
          fmt::format("those that start ({}) will need the {} that is left: {:.0f} MiB beside the "
                      "reserve, {:.0f} MiB each",
                      in_flight, memory.name, std::max(0.0, room_in(memory)), memory.cost.each),
          in_flight == 0, "memory"};
    case policy::GateReason::kOpen:
    case policy::GateReason::kWindowFull: break;
  }
  return StartWait{fmt::format("as many desktops start ({}) as the host bears ({} at once)",
                               in_flight, decision.window),
                   false, "window"};
}

void Gatekeeper::learn(std::size_t running) {
  const auto now = look();
  if (!now) return;
  limits_.look(parts_.groups);
  limits_at_ns_ = parts_.now();
  // Who runs besides those that were told of is of no image that is known.
  policy::ImageCounts counts = census_.counts();
  if (policy::total_of(counts) != static_cast<double>(running))
    counts = {{"", static_cast<double>(running)}};
  rates_.look(parts_.groups.empty() ? nullptr : &parts_.groups.back(), counts, parts_.now());
  // The first one brings what all share: it is no measure of one more.
  if (running > 0) {
    const policy::ImageWeights& weights = census_.weights(Weigh::kMemory);
    memory_.learn(counts, used_of(now->memory), weights);
    for (std::size_t i = 0; i < now->groups.size(); ++i)
      if (now->groups[i]) in_groups_[i].learn(counts, used_in(*now->groups[i]), weights);
    tasks_.learn(counts, now->tasks.total, census_.weights(Weigh::kTasks));
    limits_.learn(counts, census_);
  }
  count(*now, 0);
}

}  // namespace panal::optimiser
