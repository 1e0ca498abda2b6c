#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/firewall/nft/ruleset.h"
#include "netconfine/firewall/nft/script.h"
#include "netconfine/firewall/nft/snapshot.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// Whether the kernel's tables hook in as the plan's do, so that what is in them can be exchanged
/// under the packets' feet. That of bridges is not asked about: who has no group with a bridge has
/// none, and it alone is made anew, or goes, where it does not.
[[nodiscard]] bool same_hooks(const NftSnapshot& found, const NftPlan& plan);

/// The table of a family with its base chains, which drop, or its deletion where the plan has none.
void make_anew(NftScript& script, std::uint32_t family, const NftSnapshot& found,
               const NftPlan& plan);

/// One transaction that makes of tables with the same hooks those of the plan, without a moment in
/// which a packet that both allow is dropped. What both have stays as it is:
///  - a base chain made anew is empty, and drops, from the moment the kernel has read of it until
///    the transaction is in force;
///  - a map's element made anew is missing for packets that the old rules are just being asked
///    about, while the new ones come into force;
///  - dynamic sets keep what they have counted.
/// Rules are all written anew: for them the kernel's generations do what is wanted. So are
/// counters, which begin at 0.
[[nodiscard]] Result<std::vector<Message>> exchange(const NftSnapshot& found, const NftPlan& plan);

}  // namespace panal::netconfine
