#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/policy/policy.h"

namespace panal::netconfine {

/// One line of an allow list, nothing left to look up.
struct Allow {
  std::string service;  ///< for people and counters
  Prefix peer;
  bool except = false;  ///< takes away from the same service's others; such lines come first
  Protocol protocol = Protocol::kAny;
  PortRange ports;      ///< with kTcp and kUdp
  [[nodiscard]] auto operator<=>(const Allow&) const = default;
};

/// A policy as backends load it.
struct CompiledPolicy {
  std::uint32_t id = 0;  ///< 1..65535, stable for a name as long as the set lives
  std::string name;
  std::vector<Allow> reach;       ///< sorted
  std::vector<Allow> reached_by;  ///< sorted
  std::uint32_t group = 0;        ///< 1..65535; 0: none
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

/// Errors: EINVAL with a sentence that names the policy and the service that is missing, a prefix
/// that is no part of the service it is taken from, more than 65,535 policies or groups.
[[nodiscard]] Result<Ruleset> compile(const PolicySet& set);

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
  std::string rule;  ///< "policy office: service dns", "group classroom-7", "default: nothing is allowed"
};

/// Says what the rules do with a flow between two desktops or a desktop and the outside, and why.
/// Both backends are held to it by tests. `from` and `to` are null for the outside.
[[nodiscard]] Explanation explain(const Ruleset& rules, const Sender* from, const Sender* to,
                                  const Flow& flow);

}  // namespace panal::netconfine
