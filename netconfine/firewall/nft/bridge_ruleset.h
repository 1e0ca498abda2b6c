#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/firewall/nft/messages.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// Elements by the name of their set, all in our table of the bridge family.
using BridgeElements = std::map<std::string, std::vector<NftElement>>;

/// What the kernel is to hold for what passes groups' bridges: a desktop's frame comes over its
/// port, with its MAC, and with its address as the source of IPv4 and IPv6 and in ARP and neighbour
/// discovery; no routers, no DHCP servers, no errors about others' packets, no fragments, options
/// and extension headers, no VLANs and other protocols; frames to many at a bounded rate; to ports
/// of its own group only, which the separate bridges see to as well; nothing to or from the node.
/// Its frames are looked at where they come in: what a trunk brings has been. The cost does not
/// depend on how many there are. There is no connection tracking in it: mates may talk by every
/// protocol, in both directions.
struct BridgeTable {
  std::vector<NftBaseChain> base_chains;
  std::vector<std::string> chains;  ///< without a hook
  std::vector<std::string> counters;
  std::vector<NftSet> sets;
  std::vector<Message> rules;
  BridgeElements elements;
};

/// Errors: ENOMEM; those of bridge_elements_of().
[[nodiscard]] Result<BridgeTable> bridge_table(const Ruleset& rules,
                                               std::span<const Sender> senders);

/// A desktop's elements; none where its policy has no group with a bridge. Errors: EINVAL, the
/// sender has a policy that is not among the rules.
[[nodiscard]] Result<BridgeElements> bridge_elements_of(const Ruleset& rules, const Sender& sender);

/// All of a table but itself and its base chains, in the order the kernel wants it.
[[nodiscard]] Result<std::vector<Message>> bridge_contents(const BridgeTable& table);

/// The table itself and its base chains, anew: each drops until its rules are there.
[[nodiscard]] Result<std::vector<Message>> new_bridge_table(const BridgeTable& table);

/// A table `name` that drops every frame of every bridge, before any other looks at it.
[[nodiscard]] Result<std::vector<Message>> bridge_cut_off(const std::string& name);

}  // namespace panal::netconfine
