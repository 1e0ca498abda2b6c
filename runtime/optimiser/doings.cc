// The decider's thread: whether anything of a disconnected desktop works.
#include <algorithm>

#include "engine/kernel/net_dev.h"
#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {

namespace {

/// The first may have ended since the group was listed.
constexpr std::size_t kMostAsked = 3;

/// What a desktop received and sent, of the links that one of its processes sees: all are in one
/// network namespace, but for one that makes itself another, which has no way out.
std::optional<std::uint64_t> network_bytes(const Tree& tree, const kernel::Cgroup& group) {
  const auto pids = group.pids();
  if (!pids) return std::nullopt;
  for (std::size_t i = 0; i < std::min(kMostAsked, pids->size()); ++i) {
    const auto links = kernel::read_net_dev(tree, (*pids)[i]);
    if (!links) continue;
    std::uint64_t bytes = 0;
    for (const kernel::LinkCounters& link : *links)
      if (link.name != "lo") bytes += link.received_bytes + link.sent_bytes;
    return bytes;
  }
  return std::nullopt;
}

}  // namespace

void Optimiser::see_doings(const DeskPtr& desk) {
  policy::Doings doings;
  {
    const std::lock_guard lock(mutex_);
    if (settings_.shaver.freeze_quiet_after_ns <= 0 ||
        desk->last.session != SessionClass::kDisconnected || !desk->quiet.due(desk->last.at_ns))
      return;
    // Of a machine with zram that is all its swap.
    const bool on_disk =
        host_.memory.swap_total > 0 && host_.zram.limit == 0 && host_.zram.original == 0;
    doings = policy::doings_of(desk->last, on_disk);
  }
  doings.network_bytes = network_bytes(parts_.tree, desk->group);
  const std::lock_guard lock(mutex_);
  desk->quiet.saw(doings, settings_.quiet);
}

}  // namespace panal::optimiser
