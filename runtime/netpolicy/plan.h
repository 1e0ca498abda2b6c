#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ids.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/policy/compiled.h"
#include "netconfine/qos/shape.h"
#include "netconfine/uplink/uplink_plan.h"
#include "runtime/config/config.h"
#include "runtime/store/net_policies.h"

namespace panal::netpolicy {

/// Which policy a desktop has in the end, and why.
struct Holder {
  std::string name, tenant;
  std::string policy;    ///< kNoPolicy: nothing is allowed
  std::string given_by;  ///< "desktop", "image", "tenant", "default"
  bool missing = false;  ///< no policy of that name is known: nothing is allowed
  std::uint32_t id = 0;  ///< of the rules'
  [[nodiscard]] bool operator==(const Holder&) const = default;
};

/// What is to be in force on a node: the rules, and who has which of them.
struct Plan {
  netconfine::PolicySet set;
  netconfine::Ruleset rules;
  std::map<DesktopId, Holder> desktops;

  /// As netconfine::Network::set_rules() takes it.
  [[nodiscard]] std::map<DesktopId, std::uint32_t> policies() const;
};

/// The way outside, as the configuration has it. Errors: EINVAL with a sentence that names the key.
[[nodiscard]] Result<netconfine::UplinkPlan> uplink_plan(const config::Config& config);

/// What all desktops of the node together may send and receive. Errors: EINVAL with a sentence that
/// names the key.
[[nodiscard]] Result<netconfine::LineLimits> line_limits(const config::Config& config);

/// Where the desktops' addresses are from, how the outside is reached, and whether groups may have
/// bridges: not with backend = "iptables".
[[nodiscard]] Result<netconfine::Surroundings> surroundings(const config::Config& config);

/// Errors: EINVAL with a sentence where the set does not compile; EOPNOTSUPP likewise, for a group
/// with a bridge where there can be none.
[[nodiscard]] Result<Plan> make_plan(const netconfine::PolicySet& set,
                                     const std::vector<store::DesktopNetPolicy>& rows,
                                     const config::Config& config);

/// One more desktop, or one whose policy is another now, by the plan's rules: false where these
/// lack what it needs (a tenant that is new to a policy with a group): make a new plan then.
[[nodiscard]] bool place(Plan& plan, const store::DesktopNetPolicy& row);

}  // namespace panal::netpolicy
