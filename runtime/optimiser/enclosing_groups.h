#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/kernel/cgroup.h"

namespace panal::optimiser {

/// A group and all that are above it but the root, outermost first: a limit of any of them ends
/// the desktops in it. `path`: relative, like "lab/panal". Errors: ENOENT.
[[nodiscard]] Result<std::vector<kernel::Cgroup>> enclosing_groups(const kernel::CgroupRoot& root,
                                                                   const std::string& path);

/// What a limited group has left before anybody in it is swapped out, in bytes.
struct GroupRoom {
  std::uint64_t limit_bytes = 0;
  std::uint64_t available_bytes = 0;  ///< below the limit, and page cache
  std::uint64_t reserve_bytes = 0;    ///< of that, what the last resort keeps
};

/// nullopt: the group has no limit, or cannot be read.
[[nodiscard]] std::optional<GroupRoom> room_of(const kernel::Cgroup& group);

}  // namespace panal::optimiser
