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
#include "netconfine/uplink/keeper.h"
#include "netconfine/uplink/uplink.h"
#include "runtime/compose/root_choice.h"
#include "runtime/config/config.h"
#include "runtime/desktop/groups.h"
#include "runtime/desktop/id_slots.h"
#include "runtime/desktop/lifecycle.h"
#include "runtime/desktop/limited_compose.h"
#include "runtime/desktop/lxc/backend.h"
#include "runtime/desktop/shared_dirs.h"
#include "runtime/node/net_tally.h"
#include "storage/compose/composer.h"
#include "storage/home/guarded_home_store.h"
#include "storage/home/home_child.h"
#include "storage/home/home_store.h"
#include "storage/image/image_store.h"

namespace panal::node {

/// Where the programs are that panald starts: beside itself.
struct Programs {
  std::string spawner, agent, prewarm, warm;
  std::string home = {};  ///< wanted only where homes are on another machine
  /// Errors: ENOENT naming the one that is missing.
  [[nodiscard]] static Result<Programs> beside(const std::string& directory);
};

/// The kernel's side of a node, put together: everything Lifecycle needs but the agents.
/// The process is in Panal's mount namespace.
class Host {
 public:
  /// `firewall`: in place of the one that the configuration names; none: that one.
  /// Errors: EPERM, ENOENT; each names the part and what to do.
  [[nodiscard]] static Result<std::unique_ptr<Host>> open(
      const config::Config& config, const Programs& programs, LoggerPtr log,
      const netconfine::OpenBackend& firewall = {});

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
  /// What its audits found, and what it dropped; for any thread.
  [[nodiscard]] NetTally& net_tally() { return net_tally_; }
  [[nodiscard]] const NetTally& net_tally() const { return net_tally_; }
  /// Makes the way outside, or mends what is other than it was made; cuts it off where that fails.
  /// Blocks (it may run programs); one thread at a time.
  [[nodiscard]] Result<void> keep_uplink() { return keeper_->keep(); }
  /// At the node's end: the host gets back what it had.
  [[nodiscard]] Result<void> remove_uplink() { return uplink_->down(); }
  [[nodiscard]] const desktop::IdSlots& slots() const { return *slots_; }
  [[nodiscard]] const storage::ImageStore& images() const { return images_; }
  [[nodiscard]] const compose::RootChoice& roots() const { return *roots_; }
  /// Whether desktops of an image read its version's own files: its pages then serve all of them.
  [[nodiscard]] bool shares_pages(const std::string& image) const;
  /// Who looks after homes that may hang; null where they are this machine's own.
  [[nodiscard]] storage::HomeChildren* home_children() { return home_children_.get(); }
  /// The homes, there; null likewise.
  [[nodiscard]] storage::GuardedHomeStore* guarded_homes() { return guarded_homes_; }

 private:
  Host(const config::Config& config, LoggerPtr log);
  [[nodiscard]] Result<void> open_storage(const config::Config& config, const Programs& programs);
  [[nodiscard]] Result<void> open_network(const config::Config& config,
                                          const netconfine::OpenBackend& firewall);

  LoggerPtr log_;
  Tree tree_;
  std::optional<kernel::CgroupRoot> cgroups_;
  std::optional<kernel::Cgroup> parent_;
  std::optional<kernel::ParentLimit> limit_;
  std::optional<desktop::IdSlots> slots_;
  storage::ImageStore images_;
  std::optional<compose::RootChoice> roots_;
  storage::Composer compose_;
  std::optional<desktop::LimitedCompose> limited_;
  std::unique_ptr<storage::HomeChildren> home_children_;
  std::unique_ptr<storage::HomeStore> homes_;
  storage::GuardedHomeStore* guarded_homes_ = nullptr;  ///< homes_, or null
  desktop::TmpfsSharedDirs shared_;
  std::unique_ptr<desktop::KernelGroups> groups_;
  NetTally net_tally_;
  std::unique_ptr<netconfine::Network> network_;
  std::unique_ptr<netconfine::AuditLoop> audit_;  ///< of network_, which must outlive it
  std::unique_ptr<netconfine::Uplink> uplink_;
  std::optional<netconfine::UplinkKeeper> keeper_;  ///< of uplink_, which must outlive it
  std::unique_ptr<desktop::lxc::SpawnerPool> spawners_;
  std::optional<desktop::lxc::LxcBackend> containers_;
};

}  // namespace panal::node
