#pragma once

#include <span>
#include <string>

#include "engine/model/ids.h"
#include "netconfine/firewall/iptables/tables.h"

namespace panal::netconfine {

/// One desktop's rule in a tree.
struct LinkRule {
  DesktopId id = 0;
  std::string rule;  ///< whole, with its link: "-s 10.77.0.7/32 -i pnl7 -j ACCEPT"
};

enum class LinkSide : std::uint8_t { kIn, kOut };

/// Adds chains in which a packet finds its desktop's rule by the digits of its link's name: about
/// 6 rules are looked at for each digit, however many desktops there are. The first chain is
/// `name` (there even without desktops), those below it `name`-1, `name`-12... A packet that finds
/// no rule, or whose rule does not decide, goes on after the rule that jumped to `name`.
/// What the chains are follows from the set of rules alone.
void add_link_tree(RuleTable& table, const std::string& name, LinkSide side,
                   std::span<const LinkRule> rules);

}  // namespace panal::netconfine
