#pragma once

#include <string>
#include <vector>

#include "netconfine/address/address_pool.h"

namespace panal::bench {

// The rules of QVD 4 for a node and for a virtual machine, as we know them from its documents and
// its behaviour: what ours are measured beside. Its desktops are ports of one bridge; who may send
// as what is said by two ebtables chains a desktop, which INPUT and FORWARD jump to by the port's
// name, one jump after the other.

inline constexpr const char* kQvdBridge = "br0";

/// The port's name: "qvd7".
[[nodiscard]] std::string qvd_link(DesktopId id);

/// The node's rules, for iptables-restore: desktops may open nothing to nodes, and reach the
/// outside freely. `uplink` masquerades. Desktops may reach each other (protect_vms off), as ours
/// in a group do.
[[nodiscard]] std::string qvd_node_rules(const std::string& uplink);

/// The rules of desktops, for ebtables-restore, in the order of `all`.
[[nodiscard]] std::string qvd_desktop_rules(const std::vector<netconfine::Addresses>& all);

/// Arguments of ebtables, one start of the program each, in order, as QVD adds one desktop.
using QvdCommand = std::vector<std::string>;
[[nodiscard]] std::vector<QvdCommand> qvd_adding(const netconfine::Addresses& one);
/// The same for removing it. QVD deletes the jumps by the numbers it finds in a listing, so this
/// has the listings, and the caller puts the number behind the words "-D CHAIN".
[[nodiscard]] std::vector<QvdCommand> qvd_removing(const netconfine::Addresses& one);

/// The number of the rule that jumps to `chain` in a listing by `ebtables -L ... --Ln`; 0: none.
[[nodiscard]] unsigned qvd_jump_number(const std::string& listing, const std::string& chain);

}  // namespace panal::bench
