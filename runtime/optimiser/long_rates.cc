#include "runtime/optimiser/long_rates.h"

#include <algorithm>
#include <cmath>

#include "engine/kernel/cpu_times.h"
#include "engine/kernel/psi.h"
#include "engine/policy/units.h"

namespace panal::optimiser {
namespace {

using policy::Resource;
using policy::ResourceKind;

/// Between two looks at rest: a longer time had starts or stops in it.
constexpr double kLongestWindowSeconds = 45;
/// Of CPUs: panald, the broker and what nobody planned.
constexpr double kCpuReserve = 0.05;
/// Near its end a queue grows without bounds.
constexpr double kBusyReserve = 0.10;
constexpr double kBitsPerByte = 8;
constexpr double kMega = 1e6;
constexpr const char* kTooShort = "not looked at for ten minutes at rest yet";

/// Nothing where a counter began anew.
std::optional<double> more(const std::optional<std::uint64_t>& from,
                           const std::optional<std::uint64_t>& to) {
  if (!from || !to || *to < *from) return std::nullopt;
  return policy::real(*to - *from);
}

/// What runs at a lower priority than the others (nice) gives way to them, and does not count.
std::uint64_t busy_ns(const CpuTimes& times) {
  return times.user_ns + times.system_ns + times.irq_ns + times.softirq_ns + times.steal_ns;
}

std::optional<std::uint64_t> waits_us(const Tree& tree, const kernel::Cgroup* group,
                                      kernel::PressureResource resource) {
  if (group != nullptr)
    if (const auto pressure = group->pressure(resource)) return pressure->some.total_us;
  if (const auto pressure = kernel::read_host_pressure(tree, resource))
    return pressure->some.total_us;
  return std::nullopt;
}

/// The part of a span; 1 where it is not known.
double part_of(const std::optional<double>& us, double span) {
  return us ? std::clamp(*us / 1e6 / span, 0.0, 1.0) : 1;
}

Resource rate(std::string name, std::string unit, ResourceKind kind) {
  Resource one;
  one.name = std::move(name);
  one.unit = std::move(unit);
  one.kind = kind;
  return one;
}

}  // namespace

LongRates::Counters LongRates::count(const kernel::Cgroup* desktops, MonotonicNs now_ns) const {
  Counters now;
  now.at_ns = now_ns;
  if (auto cpu = kernel::read_cpu_times(tree_)) now.cpu = *cpu;
  if (desktops != nullptr)
    if (const auto usage = desktops->statistics(); usage && usage->cpu)
      now.own_cpu_ns = usage->cpu->usage_ns;
  now.cpu_waits_us = waits_us(tree_, desktops, kernel::PressureResource::kCpu);
  now.io_waits_us = waits_us(tree_, desktops, kernel::PressureResource::kIo);
  if (auto disks = kernel::read_disk_stat(tree_)) now.disks = std::move(*disks);
  if (auto links = kernel::read_net_dev(tree_)) now.links = std::move(*links);
  now.gives_way_ns = gives_way_ns_;
  now.flowed_bytes = flowed_bytes_;
  return now;
}

void LongRates::look(const kernel::Cgroup* desktops, const policy::ImageCounts& counts,
                     MonotonicNs now_ns) {
  Counters now = count(desktops, now_ns);
  now.desktops = policy::total_of(counts);
  if (before_ && now.desktops > 0 && before_->desktops == now.desktops) {
    const double span = policy::seconds(now_ns - before_->at_ns);
    if (span > 0 && span <= kLongestWindowSeconds) {
      desktops_.add(span, now.desktops);
      add_cpu(*before_, now, span);
      add_disk(*before_, now, span, counts);
      add_links(*before_, now, span);
    }
  }
  before_ = std::move(now);
}

void LongRates::add_cpu(const Counters& before, const Counters& now, double span) {
  const auto own_ns = more(before.own_cpu_ns, now.own_cpu_ns);
  if (!own_ns || !before.cpu || !now.cpu) return;
  const auto all_ns = more(busy_ns(*before.cpu), busy_ns(*now.cpu));
  if (!all_ns) return;
  cores_ = now.cpu->cores;
  const double own = std::min(cores_, *own_ns / 1e9 / span);
  const double away = policy::real(policy::grown(before.gives_way_ns, now.gives_way_ns));
  const double all = std::min(cores_, (*all_ns - away) / 1e9 / span);
  const double others = std::max(0.0, all - own);
  own_cores_.add(span, own);
  other_cores_.add(span, others * part_of(more(before.cpu_waits_us, now.cpu_waits_us), span));
}

void LongRates::add_disk(const Counters& before, const Counters& now, double span,
                         const policy::ImageCounts& counts) {
  std::optional<double> busiest;
  for (const kernel::DiskCounters& disk : now.disks) {
    const auto same = std::find_if(before.disks.begin(), before.disks.end(),
                                   [&disk](const auto& other) { return other.name == disk.name; });
    if (same == before.disks.end() || disk.busy_ms < same->busy_ms) continue;
    const double share = policy::real(disk.busy_ms - same->busy_ms) / 1e3 / span;
    busiest = std::max(busiest.value_or(0), std::min(1.0, share));
  }
  if (!busiest) return;
  const double waits = part_of(more(before.io_waits_us, now.io_waits_us), span);
  const double percent = 100 * std::min(*busiest, waits);
  busy_percent_.add(span, percent);
  busy_.learn(counts, percent, {});
}

void LongRates::add_links(const Counters& before, const Counters& now, double span) {
  flow_mbit_.add(
      span, policy::real(now.flowed_bytes - before.flowed_bytes) * kBitsPerByte / kMega / span);
  std::map<std::string, Link> links;  // those that are gone are forgotten
  for (const kernel::LinkCounters& link : now.links) {
    const auto same = std::find_if(before.links.begin(), before.links.end(),
                                   [&link](const auto& other) { return other.name == link.name; });
    if (same == before.links.end() || link.received_bytes < same->received_bytes ||
        link.sent_bytes < same->sent_bytes)
      continue;
    const auto speed = kernel::read_link_speed(tree_, link.name);
    if (!speed) continue;
    const auto known = links_.find(link.name);
    Link& one = links[link.name] = known == links_.end() ? Link{} : known->second;
    one.limit_mbit = policy::real(*speed) / kMega;
    const std::uint64_t bytes =
        std::max(link.received_bytes - same->received_bytes, link.sent_bytes - same->sent_bytes);
    one.mbit.add(span, policy::real(bytes) * kBitsPerByte / kMega / span);
  }
  links_ = std::move(links);
}

Resource LongRates::cpu(double running) const {
  Resource one = rate("CPU in the mean of minutes", "cores", ResourceKind::kCpu);
  one.limit = cores_;
  one.reserve = cores_ * kCpuReserve;
  one.cost.each = desktops_.value() > 0 ? own_cores_.value() / desktops_.value() : 0;
  one.cost.measured = own_cores_.known();
  one.used = other_cores_.value() + one.cost.each * running;
  if (!own_cores_.known()) one.unknown = kTooShort;
  return one;
}

Resource LongRates::disk(double running) const {
  Resource one = rate("the busiest disk's time in the mean of minutes", "%", ResourceKind::kIo);
  one.limit = 100;
  one.reserve = one.limit * kBusyReserve;
  one.cost = beyond_noise(busy_.cost);
  one.used = std::max(0.0, busy_percent_.value() + one.cost.each * (running - desktops_.value()));
  if (!busy_percent_.known())
    one.unknown = kTooShort;
  else if (!one.cost.measured)
    one.unknown = "not measured at three numbers of desktops yet";
  return one;
}

Resource LongRates::link(double running) const {
  Resource one = rate("link", "Mbit/s", ResourceKind::kNetwork);
  const auto fullest =
      std::max_element(links_.begin(), links_.end(), [](const auto& a, const auto& b) {
        return a.second.mbit.value() / a.second.limit_mbit <
               b.second.mbit.value() / b.second.limit_mbit;
      });
  if (fullest == links_.end()) {
    one.unknown = "no link tells its speed";
    return one;
  }
  one.name = "link " + fullest->first + " in the mean of minutes";
  one.limit = fullest->second.limit_mbit;
  one.reserve = one.limit * kBusyReserve;
  one.cost.each = desktops_.value() > 0 ? flow_mbit_.value() / desktops_.value() : 0;
  one.cost.measured = fullest->second.mbit.known();
  one.used =
      std::max(0.0, fullest->second.mbit.value() + one.cost.each * (running - desktops_.value()));
  if (!one.cost.measured) one.unknown = kTooShort;
  return one;
}

}  // namespace panal::optimiser
