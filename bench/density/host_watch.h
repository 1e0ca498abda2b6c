#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "bench/density/load.h"
#include "engine/base/tree.h"
#include "engine/kernel/ksm.h"
#include "engine/model/snapshot.h"

namespace panal::bench {

/// The host at one moment, beside what Sampler has. What the kernel lacks is absent or 0.
struct HostMoment {
  PressureSet host;
  PressureSet desktops;  ///< of their parent group
  ZramStatistics zram;
  HostMemory memory;
  std::optional<KsmCounters> ksm;
  VmCounters vm;
};

/// What all desktops' processes add up to, bytes.
struct DesktopsMemory {
  SmapsRollup maps;
  std::size_t processes = 0;
  double seconds = 0;  ///< that the walk took
};

class HostWatch {
 public:
  [[nodiscard]] static Result<HostWatch> make(const BenchNode& node, const Load& load);

  [[nodiscard]] HostMoment look() const;
  /// Walks the page tables of all processes of all desktops, a thread of low priority at a time: a
  /// millisecond or two each, so not while anything is timed.
  [[nodiscard]] Result<DesktopsMemory> walk_desktops() const;

 private:
  HostWatch(Tree tree, const BenchNode& node, const Load& load)
      : tree_(std::move(tree)), node_(node), load_(load) {}
  [[nodiscard]] Result<DesktopsMemory> walk() const;

  Tree tree_;
  const BenchNode& node_;
  const Load& load_;
  std::optional<kernel::Ksmd> ksmd_;
};

/// What lies between two moments. pressure.{host,desktops}.{cpu,memory,io}:
/// {some,full}_avg60_percent at the end, {some,full}_percent of the time between; zram: MiB at the
/// end; ksm: MiB saved, pages, in between copies (cow_pages) and ksmd_cpu_percent of one core;
/// swap_in_mib, swap_out_mib.
[[nodiscard]] nlohmann::json describe(const HostMoment& begin, const HostMoment& end,
                                      double seconds);
[[nodiscard]] nlohmann::json describe(const DesktopsMemory& memory);

}  // namespace panal::bench
