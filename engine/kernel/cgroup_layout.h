#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

enum class CgroupMode { kV1, kV2, kHybrid };  ///< hybrid: v1 hierarchies and a v2 mount beside them

/// One mounted cgroup hierarchy.
struct CgroupMount {
  int version = 1;
  std::string directory;                 ///< below Tree::cgroup; "." for that directory itself
  std::vector<std::string> controllers;  ///< v1: also "name=..."; v2: filled by read_cgroup_layout
  [[nodiscard]] bool has(std::string_view controller) const;
};

struct CgroupLayout {
  std::vector<CgroupMount> mounts;

  [[nodiscard]] CgroupMode mode() const;
  /// The hierarchy that has the controller, or null. "freezer" is never a v2 controller: there
  /// every group can freeze.
  [[nodiscard]] const CgroupMount* with(std::string_view controller) const;
  [[nodiscard]] const CgroupMount* v2() const;
};

/// Finds the hierarchies mounted at or below /sys/fs/cgroup, each once.
/// `proc_cgroups` is /proc/cgroups, which tells controllers from other mount options; it lists
/// nothing of use on a pure v2 kernel and may be empty.
/// Errors: EPROTO for a malformed table; ENODEV when nothing is mounted.
[[nodiscard]] Result<CgroupLayout> parse_cgroup_layout(std::string_view mountinfo,
                                                       std::string_view proc_cgroups);

/// The same from the kernel (proc/self/mountinfo of `tree`), with v2's cgroup.controllers.
[[nodiscard]] Result<CgroupLayout> read_cgroup_layout(const Tree& tree);

}  // namespace panal::kernel
