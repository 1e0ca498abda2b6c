#pragma once

#include <functional>
#include <string>

#include "engine/base/log.h"
#include "engine/kernel/cgroup.h"
#include "runtime/config/config.h"
#include "runtime/desktop/id_slots.h"
#include "runtime/desktop/lifecycle.h"
#include "runtime/node/agent_hub.h"
#include "runtime/node/operations.h"
#include "storage/image/image_store.h"

namespace panal::node {

/// Operations on this host.
class HostOperations final : public Operations {
 public:
  struct Parts {
    desktop::Lifecycle& lifecycle;
    AgentHub& hub;
    const storage::ImageStore& images;
    const desktop::IdSlots& slots;
    const kernel::CgroupRoot& cgroups;
    LoggerPtr log;
    /// What a desktop that is about to start offers of its memory; none: nothing.
    std::function<desktop::MemorySharing(const store::Desktop&)> sharing = nullptr;
    std::function<void(DesktopId)> not_started = nullptr;
    /// Sees to it that a desktop gets its link with the network policy that it has now.
    std::function<Result<void>(store::Store&, DesktopId)> confine = nullptr;
    desktop::GuestSettings guest = {};  ///< of desktops that start
  };
  HostOperations(Parts parts, const config::Config& config)
      : parts_(std::move(parts)), config_(config) {}

  Result<std::optional<Started>> start(store::Store& store, DesktopId id) override;
  Result<void> stop(store::Store& store, const desktop::DesktopSpec& spec,
                    const std::string& reason) override;
  Result<void> clear(store::Store& store, DesktopId id, const desktop::DesktopSpec* spec,
                     store::Observed observed, const std::string& reason) override;
  std::string why_ended(DesktopId id) override;
  Result<void> remove(const desktop::DesktopSpec& spec) override;

  /// Once, before anything else: takes over every desktop that still runs, says of the others that
  /// they ended, and removes the leftovers of those that the store does not know.
  [[nodiscard]] Result<std::vector<Started>> take_over(store::Store& store);

  /// Id slots that desktops may use; the one above them is the pre-warmers'.
  [[nodiscard]] std::uint32_t desktop_slots() const;

 private:
  [[nodiscard]] Result<desktop::DesktopSpec> spec_of(store::Store& store,
                                                     const store::Desktop& row) const;
  [[nodiscard]] Result<Started> adopt(store::Store& store, const store::Desktop& row);

  Parts parts_;
  const config::Config& config_;
};

}  // namespace panal::node
