#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "netconfine/address/address_pool.h"
#include "netconfine/bridge/bridge_state.h"
#include "netconfine/firewall/backend.h"

namespace panal::netconfine {

/// A desktop that is to be on its group's bridge.
struct GroupMember {
  Addresses addresses;      ///< as the address plan has them, `link` that of the routed link
  std::uint32_t group = 0;  ///< group_number()
};

/// Where the kernel's bridges are not as meant: desktops that are missing, that are on another
/// group's bridge, that nobody has put there or whose port lets more through; bridges and trunks
/// that are set up otherwise, ports that are not ours, routed links that somebody has bridged.
/// Empty: as meant. Bridges of others without a desktop of ours are not looked at.
[[nodiscard]] std::vector<Drift> bridge_differences(std::span<const GroupMember> meant,
                                                    const BridgeState& found);

}  // namespace panal::netconfine
