#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/model/decision.h"
#include "engine/model/snapshot.h"

namespace panal::policy {

/// One merge domain's desktops on this node.
struct MergeDomain {
  MergeDomainId id;
  bool agreed = false;  ///< the profile, and where it asks for that the tenant, allow merging
  std::uint32_t enlisted = 0;        ///< desktops in which any process is enlisted
  std::uint64_t expected_bytes = 0;  ///< what merging all its desktops here would save
};

struct MergeDomainDecision {
  std::optional<MergeDomainId> enlist;  ///< whose new desktops are enlisted; none: nobody's
  bool draining = false;  ///< another domain waits for the last enlisted desktop to stop

  [[nodiscard]] bool operator==(const MergeDomainDecision&) const = default;
};

/// The kernel has one tree of merged pages and no way to end enlistment from outside, so one
/// domain at a time is enlisted on a node: the next one only after the last enlisted process of
/// the former is gone. A domain keeps its place until another would save kWorthSwitching times as
/// much for kSwitchAfter; from then on new desktops of neither are enlisted, until it has drained.
class MergeDomainArbiter {
 public:
  static constexpr double kWorthSwitching = 2;
  /// Longer than a wave of logins; draining takes until people log out anyway.
  static constexpr MonotonicNs kSwitchAfter = 30LL * 60 * 1'000'000'000;

  [[nodiscard]] MergeDomainDecision decide(MonotonicNs now_ns,
                                           const std::vector<MergeDomain>& domains);

 private:
  std::optional<MergeDomainId> current_;
  std::optional<MergeDomainId> rival_;
  MonotonicNs rival_since_ns_ = 0;
};

}  // namespace panal::policy
