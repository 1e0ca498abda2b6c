#include "runtime/optimiser/io_rate.h"

#include "engine/kernel/block_device.h"
#include "engine/kernel/io_stat.h"
#include "engine/policy/units.h"
#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {

IoStatistics IoRate::look(const IoStatistics& counters, MonotonicNs now_ns) {
  IoStatistics added;
  if (last_) {
    added.read_bytes = policy::grown(last_->read_bytes, counters.read_bytes);
    added.written_bytes = policy::grown(last_->written_bytes, counters.written_bytes);
    added.reads = policy::grown(last_->reads, counters.reads);
    added.writes = policy::grown(last_->writes, counters.writes);
    const double elapsed = policy::seconds(now_ns - at_ns_);
    read_ = elapsed > 0 ? policy::real(added.read_bytes) / elapsed : 0;
    written_ = elapsed > 0 ? policy::real(added.written_bytes) / elapsed : 0;
  }
  last_ = counters;
  at_ns_ = now_ns;
  return added;
}

Result<void> count_io(const Tree& tree, const kernel::CgroupRoot& cgroups, const std::string& group,
                      const std::string& path) {
  for (const auto& hierarchy : cgroups.hierarchies()) {
    if (hierarchy.mount.version == 2 && hierarchy.mount.has("io")) return {};
    if (!hierarchy.mount.has("blkio")) continue;
    PANAL_ASSIGN(const std::string disk, kernel::whole_disk_of(tree, path));
    PANAL_ASSIGN(const Dir dir, hierarchy.dir.open_dir(group));
    return kernel::start_counting_io_v1(dir, disk);
  }
  return fail(ENOTSUP, "count I/O of " + group + ": no controller");
}

void Optimiser::read_io(const DeskPtr& desk) {
  const MonotonicNs now_ns = monotonic_ns();
  {
    const std::lock_guard lock(mutex_);
    desk->last.usage.io = desk->io.last();
    if (!desk->io.due(now_ns)) return;
  }
  const auto counters = desk->group.io();
  if (!counters) {
    // Without the controller there is nothing to be said, once a minute least of all.
    if (!counters.error().is_gone() && counters.error().code != ENOTSUP)
      complain("read_io", counters.error());
    return;
  }
  const std::lock_guard lock(mutex_);
  const IoStatistics added = desk->io.look(*counters, now_ns);
  totals_.io_read_bytes += added.read_bytes;
  totals_.io_written_bytes += added.written_bytes;
  totals_.io_reads += added.reads;
  totals_.io_writes += added.writes;
  desk->last.usage.io = *counters;
}

}  // namespace panal::optimiser
