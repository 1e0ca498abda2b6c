#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "engine/base/log.h"
#include "engine/kernel/cgroup.h"
#include "runtime/compose/root_choice.h"
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
    desktop::GuestSettings guest = {};           ///< of desktops that start
    const compose::RootChoice* roots = nullptr;  ///< null: overlay for all
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

  /// How a desktop is started that is nobody's and is only to be looked at: with a desktop's
  /// limits, as a user of its own. Errors: ENOSPC without host ids for it.
  [[nodiscard]] Result<desktop::DesktopSpec> trial_spec(
      const storage::VersionManifest& version) const;

  /// Id slots that desktops may use; those above them are the pre-warmers' and the trials'.
  [[nodiscard]] std::uint32_t desktop_slots() const;

 private:
  [[nodiscard]] Result<desktop::DesktopSpec> spec_of(store::Store& store,
                                                     const store::Desktop& row) const;
  /// What the root of a desktop that is about to start is made of, and how.
  [[nodiscard]] Result<void> choose_root(desktop::DesktopSpec& spec) const;
  [[nodiscard]] Result<Started> adopt(store::Store& store, const store::Desktop& row);
  /// Of the farm's homes, the one this desktop opens. Errors: EBUSY naming who has it.
  [[nodiscard]] Result<void> take_home(store::Store& store, desktop::DesktopSpec& spec) const;
  void give_home_back(store::Store& store, DesktopId id) const;
  /// Lifecycle::stop(), after which unfinished() knows the spec as long as it fails.
  [[nodiscard]] Result<void> end(const desktop::DesktopSpec& spec, std::chrono::milliseconds grace);
  /// What a desktop was started with whose stop has failed; none: no such. Its run directory, which
  /// says so too, does not outlive the first try.
  [[nodiscard]] std::optional<desktop::DesktopSpec> unfinished(DesktopId id);

  Parts parts_;
  const config::Config& config_;
  std::mutex mutex_;
  std::map<DesktopId, desktop::DesktopSpec> unfinished_;
};

}  // namespace panal::node
