#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "netconfine/firewall/nft/messages.h"
#include "netconfine/firewall/nft/script.h"
#include "netconfine/firewall/nft/services.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// The number of a policy in our maps and names. It follows from name and tenant alone: a packet
/// that was given it while other rules come into force finds the same policy under it. Not 0. Two
/// policies have the same one once in billions; plan() refuses that.
[[nodiscard]] std::uint32_t number_of(const CompiledPolicy& policy);

/// Where a desktop is sent to by the policy it has.
struct PolicyChains {
  std::string out = {};    ///< from it to the uplink
  std::string in = {};     ///< from the uplink to it
  std::string peers = {};  ///< from it to another desktop
  std::string group = {};  ///< the set with the links of its group
};
/// The names. A policy without a group has no `peers` and `group`.
[[nodiscard]] PolicyChains chains_of(const CompiledPolicy& policy);

/// The mark of connections that a policy has allowed. It follows from all that the verdict follows
/// from, so that a connection is judged anew by another policy, or by the same one changed. Not 0.
[[nodiscard]] std::uint32_t connection_mark(const Ruleset& rules, const CompiledPolicy& policy);

/// What is to be in our inet table for one policy.
struct PolicyParts {
  std::vector<std::string> chains;
  std::vector<NftSet> sets;  ///< but for those of services
};
/// Adds the rules of one policy's chains to `rules`, and its services to `services`.
PolicyParts add_policy(NftScript& script, ServiceSets& services, const Ruleset& rules,
                       const CompiledPolicy& policy);

/// How often a desktop's refused packets are logged, at most.
inline constexpr const char* kLogRate = "log_rate";
inline constexpr std::uint32_t kLogPerSecond = 5, kLogBurst = 20;
/// Connections that one desktop may have open where its policy does not say: with fewer than 64 at
/// it nobody fills the smallest table Linux makes on 4 GiB (262,144).
inline constexpr std::uint32_t kMostConnections = 4096;

inline constexpr const char* kDenied = "denied";
inline constexpr const char* kInvalid = "invalid";
inline constexpr const char* kOverRate = "over_rate";
inline constexpr const char* kOverConnections = "over_connections";
inline constexpr const char* kToDesktop = "to_desktop";

}  // namespace panal::netconfine
