#include "engine/policy/quiet.h"

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

using Counter = std::optional<std::uint64_t>;

/// A counter that fell began anew (its group, or its link, was made again): nothing is known.
double more(const Counter& from, const Counter& to) {
  return from && to ? real(grown(*from, *to)) : 0;
}

/// What swapping read and wrote at most: what came back was read, and written before; what is out
/// now and was not was written. Pages that zswap had in memory count too, and hide as much reading
/// of files; that takes CPU time.
double swapping(const Doings& from, const Doings& to) {
  constexpr double kPage = 4096;
  return 2 * kPage * more(from.refaulted_pages, to.refaulted_pages) +
         more(from.swapped_bytes, to.swapped_bytes);
}

bool is_loud(const Doings& from, const Doings& to, const QuietConfig& config) {
  const double span = seconds(to.at_ns - from.at_ns);
  const double waited =
      (more(from.cpu_wait_us, to.cpu_wait_us) + more(from.io_wait_us, to.io_wait_us)) / 1e6;
  return more(from.cpu_ns, to.cpu_ns) / 1e9 > config.cpu_cores * span ||
         waited > Quiet::kWaitingShare * span ||
         more(from.disk_bytes, to.disk_bytes) - swapping(from, to) >
             config.bytes_per_second * span ||
         more(from.network_bytes, to.network_bytes) > config.bytes_per_second * span;
}

}  // namespace

Doings doings_of(const GroupSnapshot& group, bool swap_on_disk) {
  Doings doings;
  doings.at_ns = group.at_ns;
  if (group.usage.cpu) doings.cpu_ns = group.usage.cpu->usage_ns;
  if (group.pressure.cpu) doings.cpu_wait_us = group.pressure.cpu->some.total_us;
  if (group.pressure.io) doings.io_wait_us = group.pressure.io->some.total_us;
  if (const auto& io = group.usage.io) doings.disk_bytes = io->read_bytes + io->written_bytes;
  if (const auto& memory = group.usage.memory; memory && swap_on_disk) {
    doings.refaulted_pages = memory->refault_anon_pages;
    doings.swapped_bytes = memory->swap_bytes;
  }
  return doings;
}

void Quiet::saw(const Doings& now, const QuietConfig& config) {
  if (!due(now.at_ns)) return;
  if (base_ && is_loud(*base_, now, config))
    since_ns_ = 0;
  else if (base_ && since_ns_ == 0)
    since_ns_ = base_->at_ns;
  base_ = now;
}

}  // namespace panal::policy
