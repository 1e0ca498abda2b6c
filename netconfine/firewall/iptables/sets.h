#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/firewall/backend.h"
#include "netconfine/firewall/iptables/families.h"

namespace panal::netconfine {

/// ipset's sets and what is in them, worded as `ipset save` words it: "10.77.0.7,pnl7".
using IpSets = std::map<std::string, std::set<std::string>>;

/// Which sets rules refer to. Sets cannot be exchanged together with tables: those of a load are
/// filled first, under names of their own.
struct SetWords {
  std::string generation;  ///< "a", "b"
  std::string mac_match;   ///< see mac_match()
};

/// The set with the links and addresses of all desktops, or of those with one policy.
[[nodiscard]] std::string senders_set(IpFamily family, const SetWords& words);
[[nodiscard]] std::string policy_set(IpFamily family, const SetWords& words, std::uint32_t policy);

/// A match of iptables for "the source MAC is that of the source address": addresses and MACs count
/// on together (AddressPool), so that one comparison does for all, without a rule for each. nullopt
/// where these desktops' do not. A program of classic BPF: the kernel's sets of MACs and addresses
/// (hash:ip,mac) are not everywhere. `senders` not empty.
[[nodiscard]] std::optional<std::string> mac_match(IpFamily family, const Senders& senders);

/// What the sets of one family hold.
[[nodiscard]] IpSets sets_for(IpFamily family, const SetWords& words, const Ruleset& rules,
                              const Senders& senders);

/// Input of `ipset restore`, which carries out one line after the other: makes sets of `now` that
/// are not in `before`; takes members out; puts members in. Deletes no set.
[[nodiscard]] std::string changing_sets_text(IpFamily family, const IpSets& before,
                                             const IpSets& now);

/// Output of `ipset save`: sets whose names begin with kSetPrefix. Errors: EPROTO.
[[nodiscard]] Result<IpSets> parse_saved_sets(std::string_view text);
inline constexpr std::string_view kSetPrefix = "pnl";

[[nodiscard]] std::vector<Drift> compare_sets(const IpSets& meant, const IpSets& found);

}  // namespace panal::netconfine
