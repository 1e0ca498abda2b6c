#include "engine/profile/swap_room.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/kernel/meminfo.h"
#include "engine/kernel/parent_limit.h"
#include "engine/profile/units.h"

namespace panal::profile {
namespace {

/// Left to the host when everything swapped out comes back at once: it is charged to desktops
/// again, whose parent's limit keeps a reserve, and has to fit below that.
std::uint64_t kept_bytes(std::uint64_t total_bytes) {
  return kernel::default_reserve_bytes(total_bytes) + (std::uint64_t{512} << 20U);
}

}  // namespace

Result<void> check_room_for_swapped(const Tree& tree, const SwapDevice& swap,
                                    const std::string& name) {
  PANAL_ASSIGN(const HostMemory memory, kernel::read_meminfo(tree));
  const std::uint64_t room =
      memory.available - std::min(memory.available, kept_bytes(memory.total));
  if (room >= swap.used_bytes) return {};
  return fail(ENOMEM, fmt::format("{} holds {} MiB, and only {} MiB are available to take them "
                                  "back: stop some desktops first",
                                  name, swap.used_bytes / kMib, room / kMib));
}

}  // namespace panal::profile
