#include "runtime/optimiser/enclosing_groups.h"

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

}  // namespace panal::optimiser
