#pragma once

#include <string>

#include "netconfine/firewall/iptables/families.h"

namespace panal::netconfine {

/// Input of ebtables-restore: what may pass the groups' bridges. A desktop's frame must come over
/// its port, with its MAC, and with its address as the source of IPv4, IPv6 and ARP; of ARP it may
/// only ask (the bridge answers for everybody); frames to many come at a bounded rate; everything
/// else (VLAN tags, spanning tree, discovery of neighbours and routers, other protocols) and all
/// that is for the node itself or from it is dropped. Frames of other bridges of the group have
/// been held to this there.
[[nodiscard]] std::string bridge_rules_text(const Senders& members);

}  // namespace panal::netconfine
