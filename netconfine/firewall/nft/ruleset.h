#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/firewall/nft/messages.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

inline constexpr const char* kSenders4 = "senders4";
inline constexpr const char* kSenders6 = "senders6";

/// Keys of a desktop: link name . MAC . address.
[[nodiscard]] NftKey sender_key4(const Addresses& sender);
[[nodiscard]] NftKey sender_key6(const Addresses& sender);
/// The link name in the key of any of our sets.
[[nodiscard]] std::string link_of_key(const NftKey& key);

/// Elements by their set.
using NftElements = std::map<NftSetId, std::vector<NftElement>>;

/// A desktop's elements: in the inet table and, where its policy has a group with a bridge, in that
/// of bridges. Errors: EINVAL, the sender has a policy that is not among the rules.
[[nodiscard]] Result<NftElements> elements_of(const Ruleset& rules, const Sender& sender);

/// What the kernel is to hold (docs/network.md shows it as `nft list ruleset` prints it).
struct NftPlan {
  std::vector<std::pair<std::uint32_t, NftBaseChain>> base_chains;  ///< with the family
  std::vector<std::pair<std::uint32_t, std::string>> counters;      ///< likewise
  std::vector<std::pair<std::uint32_t, std::string>> chains;        ///< without a hook; likewise
  std::vector<NftSet> sets;
  std::vector<Message> rules;
  NftElements elements;
  bool tracks = false;  ///< some rule wants the connection a packet belongs to
};

/// Errors: ENOMEM; EINVAL with a sentence: an uplink that is no link's name or has a desktop's,
/// the ids of policies are not 1..65535 and each another, a sender's policy is missing.
[[nodiscard]] Result<NftPlan> plan(const Ruleset& rules, std::span<const Sender> senders);

/// Whether the plan has a table of this family: inet and arp always, bridge where some policy has a
/// group with a bridge.
[[nodiscard]] bool has_table(const NftPlan& plan, std::uint32_t family);

/// All of a plan but its tables and base chains, in the order the kernel wants it.
[[nodiscard]] Result<std::vector<Message>> contents(const NftPlan& plan);

}  // namespace panal::netconfine
