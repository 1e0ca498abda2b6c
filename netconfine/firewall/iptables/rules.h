#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/model/ids.h"
#include "netconfine/firewall/iptables/families.h"
#include "netconfine/firewall/iptables/sets.h"
#include "netconfine/firewall/iptables/tables.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// The first of the chains in which a desktop's packets are told from forged ones (table raw).
inline constexpr const char* kSenderChain = "PANAL-SENDER";

/// Errors: EINVAL for a name that rules cannot be written with (uplink, policy or service), an id
/// out of range or twice.
[[nodiscard]] Result<void> check_words(const Ruleset& rules);
/// Errors: EINVAL for a link that is not called pnl<id>, or a policy that `rules` do not have.
[[nodiscard]] Result<DesktopId> check_sender(const Ruleset& rules, const Sender& sender);

/// The tables of one family, worded as iptables-save of iptables 1.8 words them: what is loaded,
/// and what the kernel is compared with. `rules` have passed check_words().
///  - raw, before connections are tracked: who sends. A desktop's packet must come over its link
///    with its MAC and its address; one from outside must not have an address that leads elsewhere.
///  - filter: what is sent. The first packet of a connection is looked up in its desktop's policy,
///    by link and address once more, so that each table denies what it alone does not know. Replies
///    follow by connection tracking.
///  - nat, with `masquerade`: behind the uplink's address.
/// Desktops are told apart by ipset's sets where `sets` are given, and by trees of chains
/// otherwise.
[[nodiscard]] RuleTables rule_tables(IpFamily family, const Ruleset& rules, const Senders& senders,
                                     const SetWords* sets = nullptr);

}  // namespace panal::netconfine
