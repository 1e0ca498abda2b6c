#pragma once

#include "netconfine/network.h"
#include "storage/home/home_store.h"

namespace panal::node {

/// What takes the place of users' homes in a trial: an empty file system in memory, charged to the
/// desktop, which goes with it. Of the spec only owner and mount point count.
class TrialHomes final : public storage::HomeStore {
 public:
  TrialHomes() : HomeStore("") {}
  [[nodiscard]] Result<void> attach(const storage::HomeSpec& spec) override;
  [[nodiscard]] Result<void> detach(const storage::HomeSpec& spec) override;
};

/// A trial has no network: no link, no address, not even from another desktop.
class NoNetwork final : public netconfine::Network {
 public:
  [[nodiscard]] Result<netconfine::Link> attach(DesktopId id, const UniqueFd&) override {
    netconfine::Link link;
    link.id = id;
    return link;
  }
  [[nodiscard]] Result<void> detach(DesktopId) override { return {}; }
  [[nodiscard]] Result<std::vector<netconfine::Link>> links() override {
    return std::vector<netconfine::Link>{};
  }
  [[nodiscard]] Result<void> recover(const std::set<DesktopId>&) override { return {}; }
};

}  // namespace panal::node
