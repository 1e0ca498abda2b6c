#pragma once

#include <memory>
#include <string>

#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"
#include "engine/kernel/process_status.h"
#include "runtime/desktop/backend.h"

namespace panal::desktop {

/// The kernel's: <parent>/d7 for the desktop and <parent>-monitor/d7 for its container monitor, in
/// every hierarchy.
class KernelGroups final : public DesktopGroups {
 public:
  /// `tree` must outlive it. Errors: those of kernel::CgroupRoot::open.
  [[nodiscard]] static Result<std::unique_ptr<KernelGroups>> open(const Tree& tree,
                                                                  std::string cgroup_parent);

  [[nodiscard]] Result<void> prepare(DesktopId id) override;
  [[nodiscard]] Result<Pidfd> find_init(DesktopId id) override;
  [[nodiscard]] Result<void> destroy(DesktopId id) override;
  [[nodiscard]] Result<std::vector<DesktopId>> list() override;

  /// Removes the parents, when the node goes down and no desktop is left. Errors: EBUSY.
  [[nodiscard]] Result<void> remove_parents();

 private:
  KernelGroups(const Tree& tree, kernel::CgroupRoot root, std::string parent)
      : tree_(tree), root_(std::move(root)), parent_(std::move(parent)) {}
  [[nodiscard]] bool exists(const std::string& path) const;
  [[nodiscard]] Result<void> remove(const std::string& path);

  const Tree& tree_;
  kernel::CgroupRoot root_;
  std::string parent_;
};

/// Whether it is a pid 1 one pid namespace below the reader's, alive.
[[nodiscard]] bool is_container_init(const kernel::ProcessStatus& process);

}  // namespace panal::desktop
