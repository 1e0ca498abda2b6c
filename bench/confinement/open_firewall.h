#pragma once

#include <memory>
#include <utility>

#include "engine/base/unique_fd.h"
#include "netconfine/firewall/backend.h"

namespace panal::bench {

/// No rules at all: what it costs to confine desktops is told by the difference. Links, addresses
/// and the namespace's settings are Network's, and there all the same. It remembers nothing, finds
/// no drift, and is never asked to look: `idle` never becomes readable.
class OpenFirewall final : public netconfine::FirewallBackend {
 public:
  explicit OpenFirewall(UniqueFd idle) : idle_(std::move(idle)) {}

  [[nodiscard]] const char* name() const override { return "open"; }
  [[nodiscard]] Result<void> load(const netconfine::Ruleset& rules,
                                  const std::vector<netconfine::Sender>& senders) override;
  [[nodiscard]] Result<void> put(std::span<const netconfine::Sender> senders) override;
  [[nodiscard]] Result<void> remove(std::span<const netconfine::Addresses> senders) override;
  [[nodiscard]] Result<std::vector<std::string>> links() override;
  [[nodiscard]] Result<std::vector<netconfine::DropCounter>> drops() override;
  [[nodiscard]] Result<std::vector<netconfine::Drift>> audit() override;
  [[nodiscard]] int changes() const override { return idle_.get(); }
  /// Errors: EOPNOTSUPP always, so that links are taken down.
  [[nodiscard]] Result<void> cut_off() override;

 private:
  UniqueFd idle_;
};

/// Takes away what another backend has left in the calling thread's network namespace, which would
/// go on confining. Errors: EPERM; EMFILE.
[[nodiscard]] Result<std::unique_ptr<netconfine::FirewallBackend>> open_no_firewall();

}  // namespace panal::bench
