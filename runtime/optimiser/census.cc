#include "runtime/optimiser/census.h"

#include "engine/policy/units.h"

namespace panal::optimiser {
namespace {

/// A mean that is being made.
struct Mean {
  double sum = 0;
  double count = 0;

  void add(double value) {
    sum += value;
    count += 1;
  }
  [[nodiscard]] double value() const { return count > 0 ? sum / count : 0; }
};

/// Its own: page cache is the charge of whoever came first.
double own_bytes(const MemoryStatistics& memory) {
  return policy::real(memory.anon_bytes + memory.shmem_bytes + memory.kernel_bytes);
}

/// Shorter than that, a rate is that of a moment.
constexpr MonotonicNs kLeastSpan = policy::kMinute;

}  // namespace

void Census::came(DesktopId id, std::string_view image, MonotonicNs now_ns) {
  gone(id);
  const bool known = counts_.find(image) != counts_.end();
  const std::string counted(known || counts_.size() < kMostImages ? image : std::string_view());
  desktops_[id] = {counted, now_ns, 0, 0};
  counts_[counted] += 1;
}

void Census::gone(DesktopId id) {
  const auto found = desktops_.find(id);
  if (found == desktops_.end()) return;
  const auto count = counts_.find(found->second.image);
  if (count->second > 1)
    count->second -= 1;
  else
    counts_.erase(count);
  desktops_.erase(found);
}

void Census::saw(const std::vector<GroupSnapshot>& desktops) {
  std::map<std::string_view, std::array<Mean, 3>> by_image;
  for (const GroupSnapshot& seen : desktops) {
    const auto found = desktops_.find(seen.desktop);
    if (found == desktops_.end()) continue;
    Desktop& desktop = found->second;
    if (desktop.image.empty() || seen.at_ns < desktop.came_ns + kSettlesNs) continue;
    auto& means = by_image[desktop.image];
    const auto mean = [&means](Weigh by) -> Mean& { return means[static_cast<std::size_t>(by)]; };
    if (seen.usage.memory) mean(Weigh::kMemory).add(own_bytes(*seen.usage.memory));
    if (seen.usage.pids) mean(Weigh::kTasks).add(policy::real(*seen.usage.pids));
    if (!seen.usage.cpu) continue;
    const std::uint64_t cpu_ns = seen.usage.cpu->usage_ns;
    // A group that was made anew counts from nothing.
    if (desktop.from_ns == 0 || cpu_ns < desktop.from_cpu_ns) {
      desktop.from_ns = seen.at_ns;
      desktop.from_cpu_ns = cpu_ns;
    } else if (const MonotonicNs span = seen.at_ns - desktop.from_ns; span >= kLeastSpan) {
      mean(Weigh::kCpu).add(policy::real(cpu_ns - desktop.from_cpu_ns) / policy::seconds(span));
    }
  }
  for (const auto& [image, means] : by_image)
    for (std::size_t i = 0; i < means.size(); ++i) weights_[i].saw(image, means[i].value());
}

}  // namespace panal::optimiser
