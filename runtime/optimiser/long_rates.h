#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"
#include "engine/kernel/disk_stat.h"
#include "engine/kernel/net_dev.h"
#include "engine/model/usage.h"
#include "engine/policy/long_mean.h"
#include "runtime/optimiser/kernel_limits.h"

namespace panal::optimiser {

/// How busy CPUs, disks and links are in the mean of minutes, and what of that a desktop takes.
/// Only times count in which nothing starts or stops: what a start takes is over with it (and is
/// the start gate's affair), and a storm of starts, or a build of somebody's for some minutes, must
/// refuse nobody. For one thread.
///
/// What others use of a CPU or a disk is short for desktops only as far as one of theirs waits for
/// it: who is of lower weight gives way, and a disk with a request under way at all times may well
/// take more.
class LongRates {
 public:
  explicit LongRates(const Tree& tree) : tree_(tree) {}

  /// A moment at rest, about every half minute. `desktops`: the group that holds them all; may be
  /// null. Three files of the host and a few of the group.
  void look(const kernel::Cgroup* desktops, const policy::ImageCounts& counts, MonotonicNs now_ns);
  /// CPU time since boot of what gives way to desktops: ksmd, which the governor holds.
  void gives_way(std::uint64_t cpu_ns) { gives_way_ns_ = cpu_ns; }
  /// So many bytes went to clients.
  void flowed(std::uint64_t bytes) { flowed_bytes_ += bytes; }

  /// CPU, disk and link, as they will be while `running` desktops run. One that is not known says
  /// why. The CPU's cost is that of the mean desktop.
  [[nodiscard]] policy::Resource cpu(double running) const;
  [[nodiscard]] policy::Resource disk(double running) const;
  [[nodiscard]] policy::Resource link(double running) const;

 private:
  struct Counters {
    MonotonicNs at_ns = 0;
    double desktops = 0;
    std::optional<CpuTimes> cpu;
    std::optional<std::uint64_t> own_cpu_ns;  ///< all desktops
    std::uint64_t gives_way_ns = 0;
    std::optional<std::uint64_t> cpu_waits_us;  ///< of a desktop's task; else of any of the host's
    std::optional<std::uint64_t> io_waits_us;
    std::vector<kernel::DiskCounters> disks;
    std::vector<kernel::LinkCounters> links;
    std::uint64_t flowed_bytes = 0;
  };
  struct Link {
    double limit_mbit = 0;
    policy::LongMean mbit;  ///< of the busier way
  };

  [[nodiscard]] Counters count(const kernel::Cgroup* desktops, MonotonicNs now_ns) const;
  void add_cpu(const Counters& before, const Counters& now, double span);
  void add_disk(const Counters& before, const Counters& now, double span,
                const policy::ImageCounts& counts);
  void add_links(const Counters& before, const Counters& now, double span);

  const Tree& tree_;
  std::optional<Counters> before_;
  std::uint64_t flowed_bytes_ = 0, gives_way_ns_ = 0;
  // Of times in which desktops ran.
  policy::LongMean desktops_, own_cores_, other_cores_, flow_mbit_, busy_percent_;
  double cores_ = 0;
  Learnt busy_;  ///< percent of the busiest disk's time
  std::map<std::string, Link> links_;
};

}  // namespace panal::optimiser
