#include "runtime/optimiser/enclosing_groups.h"

#include "engine/policy/headroom.h"

namespace panal::optimiser {

Result<std::vector<kernel::Cgroup>> enclosing_groups(const kernel::CgroupRoot& root,
                                                     const std::string& path) {
  std::vector<kernel::Cgroup> groups;
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    PANAL_ASSIGN(auto group, kernel::Cgroup::open(root, path.substr(0, end)));
    groups.push_back(std::move(group));
  }
  return groups;
}

std::optional<GroupRoom> room_of(const kernel::Cgroup& group) {
  const auto usage = group.statistics();
  if (!usage || !usage->memory) return std::nullopt;
  const policy::Headroom room = policy::group_headroom(*usage->memory, policy::SwapRoom{});
  if (room.reserve_bytes == 0) return std::nullopt;
  return GroupRoom{usage->memory->end_bytes(), room.available_bytes, room.reserve_bytes};
}

}  // namespace panal::optimiser
