#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ids.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/policy/policy.h"

namespace panal::netconfine {

/// One line of an allow list, nothing left to look up. A flow is allowed when one service has a
/// line for it and no `except` line; lines of other services do not matter to it. Within a service,
/// no two prefixes of the same `except` overlap, nor do two ranges of ports of one protocol.
struct Allow {
  std::string service;  ///< for people and counters
  Prefix peer;
  bool except = false;  ///< takes `peer` away from the same service, whatever the protocol
  Protocol protocol = Protocol::kAny;
  PortRange ports;  ///< with kTcp and kUdp
  [[nodiscard]] auto operator<=>(const Allow&) const = default;
};

/// A policy as backends load it.
struct CompiledPolicy {
  std::uint32_t id = 0;  ///< 1..65535, in the order of names and tenants
  std::string name;
  /// Whose desktops have this one: where desktops reach each other or share a rate, each tenant has
  /// a compiled policy of its own, so that none reaches into another. Empty: anybody's.
  std::string tenant = {};
  /// By service; `except` lines first; then by peer. What nobody may reach (multicast, link-local,
  /// loopback, addresses of desktops) is taken out by `except` lines already.
  std::vector<Allow> reach;
  std::vector<Allow> reached_by;
  std::uint32_t group = 0;      ///< 1..65535; 0: none
  std::string group_name = {};  ///< for people
  bool bridged = false;         ///< the group has a bridge; see group_number.h for its number
  NetLimits limits;
  NetLimits tenant_limits;
  NetLog log = NetLog::kNone;
  [[nodiscard]] bool operator==(const CompiledPolicy&) const = default;
};

/// What a backend is to put in force. The order of everything follows from names alone: the same
/// set gives the same bytes.
struct Ruleset {
  std::vector<CompiledPolicy> policies;  ///< by id; id 0 (no policy: nothing allowed) is not in it
  std::string uplink;                    ///< interface in Panal's namespace; "": no way out
  bool masquerade = false;               ///< addresses of desktops do not leave by the uplink
  [[nodiscard]] bool operator==(const Ruleset&) const = default;
};

/// One desktop as the rules know it.
struct Sender {
  Addresses addresses;
  std::uint32_t policy = 0;  ///< CompiledPolicy::id; 0: may send nothing anywhere
  [[nodiscard]] bool operator==(const Sender&) const = default;
};

/// What a node's rules follow from besides the policies.
struct Surroundings {
  std::string uplink;  ///< as in Ruleset
  bool masquerade = false;
  std::vector<Prefix> desktops;  ///< where their addresses are from: never outside
  /// Policies and the tenants whose desktops have them: policies with a group or shared rates are
  /// compiled for these only.
  std::set<std::pair<std::string, std::string>> uses;
  /// The node holds what goes over a group's bridge to its sender, as it does on routed links.
  bool bridges = false;
};

/// Errors: EINVAL with a sentence that names the policy and the service that is missing, a prefix
/// that nobody may reach, more than 65,535 policies or groups, more than 100,000 lines in all, two
/// groups whose bridges would be one; EOPNOTSUPP for a group with a bridge where `around` has none.
[[nodiscard]] Result<Ruleset> compile(const PolicySet& set, const Surroundings& around = {});

/// The id that desktops of `tenant` with the policy `name` get; 0 where there is none: nothing
/// is allowed.
[[nodiscard]] std::uint32_t policy_id(const Ruleset& rules, const std::string& name,
                                      const std::string& tenant);

/// Both: the policies of `next`, and those of `old` that it has none of (by name and tenant).
[[nodiscard]] Ruleset united(const Ruleset& old, const Ruleset& next);

/// Which policy a desktop has; absent or 0: none, nothing is allowed.
using Assignments = std::map<DesktopId, std::uint32_t>;

/// Rules and who has which of their policies.
struct RulesStep {
  Ruleset rules;
  Assignments policies;
};

/// What stands, one after the other, between two rulesets while the desktops `ids` go from policies
/// of the one to those of the other. Empty where nobody goes from a policy that ends, or to one
/// that is new. No step allows what neither the old nor the new rules do, and a policy that some
/// desktop has is in the step before as well as in the one after.
[[nodiscard]] std::vector<RulesStep> steps_between(const Ruleset& old, const Assignments& had,
                                                   const Ruleset& next, const Assignments& has,
                                                   std::span<const DesktopId> ids);

/// A connection's first packet.
struct Flow {
  Ipv4 from4{}, to4{};
  Ipv6 from6{}, to6{};
  bool v6 = false;
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;  ///< destination's; of tcp and udp
};

struct Explanation {
  bool allowed = false;
  std::string
      rule;  ///< "policy office: service dns", "policy pupil: group room, which has a bridge"
};

/// Says what the rules do with a flow between two desktops or a desktop and the outside, and why.
/// Both backends are held to it by tests. `from` and `to` are null for the outside. In short:
///  - a desktop sends with its own addresses only; what is from outside with no desktop's;
///  - two desktops reach each other, by any protocol, when their policies have the same group, and
///    by nothing else: services are outside, even where a prefix would cover a desktop;
///  - a desktop reaches outside, where there is an uplink, what `reach` of its policy allows
///    by the destination; the outside reaches a desktop by its `reached_by`, by the source.
[[nodiscard]] Explanation explain(const Ruleset& rules, const Sender* from, const Sender* to,
                                  const Flow& flow);

}  // namespace panal::netconfine
