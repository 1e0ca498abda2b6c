#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"
#include "engine/kernel/parent_limit.h"
#include "netconfine/audit/audit_loop.h"
#include "netconfine/network.h"
#include "netconfine/uplink/uplink.h"
#include "runtime/config/config.h"
#include "runtime/desktop/groups.h"
#include "runtime/desktop/id_slots.h"
#include "runtime/desktop/lifecycle.h"
#include "runtime/desktop/lxc/backend.h"
#include "runtime/desktop/shared_dirs.h"
#include "storage/compose/overlay.h"
#include "storage/home/home_store.h"
#include "storage/image/image_store.h"

namespace panal::node {

/// Where the programs are that panald starts: beside itself.
struct Programs {
  std::string spawner, agent, prewarm;
  /// Errors: ENOENT naming the one that is missing.
  [[nodiscard]] static Result<Programs> beside(const std::string& directory);
};

/// The kernel's side of a node, put together: everything Lifecycle needs but the agents.
/// The process is in Panal's mount namespace.
class Host {
 public:
  /// Errors: EPERM, ENOENT; each names the part and what to do.
  [[nodiscard]] static Result<std::unique_ptr<Host>> open(const config::Config& config,
                                                          const Programs& programs, LoggerPtr log);

  /// At the node's end, when no desktop is left: takes the groups' parents away. Errors: EBUSY.
  [[nodiscard]] Result<void> remove_groups() { return groups_->remove_parents(); }

  [[nodiscard]] desktop::Parts parts(desktop::AgentGate& agents);
  [[nodiscard]] const Tree& tree() const { return tree_; }
  [[nodiscard]] const kernel::CgroupRoot& cgroups() const { return *cgroups_; }
  [[nodiscard]] const kernel::Cgroup& parent() const { return *parent_; }
  /// Of a desktop, for any thread; none: it is gone.
  [[nodiscard]] std::vector<pid_t> processes_of(DesktopId id) const;
  [[nodiscard]] kernel::ParentLimit& limit() { return *limit_; }
  [[nodiscard]] netconfine::Network& network() { return *network_; }
  /// Makes the way outside, or mends what is other than it was made; takes its link down where that
  /// fails. Blocks (it may run programs); one thread at a time.
  [[nodiscard]] Result<void> keep_uplink();
  /// At the node's end: the host gets back what it had.
  [[nodiscard]] Result<void> remove_uplink() { return uplink_->down(); }
  [[nodiscard]] const desktop::IdSlots& slots() const { return *slots_; }
  [[nodiscard]] const storage::ImageStore& images() const { return images_; }

 private:
  Host(const config::Config& config, LoggerPtr log);
  [[nodiscard]] Result<void> open_network(const config::Config& config);

  LoggerPtr log_;
  Tree tree_;
  std::optional<kernel::CgroupRoot> cgroups_;
  std::optional<kernel::Cgroup> parent_;
  std::optional<kernel::ParentLimit> limit_;
  std::optional<desktop::IdSlots> slots_;
  storage::ImageStore images_;
  storage::OverlayBackend compose_;
  storage::HomeStore homes_;
  desktop::TmpfsSharedDirs shared_;
  std::unique_ptr<desktop::KernelGroups> groups_;
  std::unique_ptr<netconfine::Network> network_;
  std::unique_ptr<netconfine::AuditLoop> audit_;  ///< of network_, which must outlive it
  std::unique_ptr<netconfine::Uplink> uplink_;
  bool uplink_made_ = false;
  std::unique_ptr<desktop::lxc::SpawnerPool> spawners_;
  std::optional<desktop::lxc::LxcBackend> containers_;
};

}  // namespace panal::node
