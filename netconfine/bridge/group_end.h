#pragma once

#include "engine/base/result.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/policy/policy.h"

namespace panal::netconfine {

/// A desktop's end of the link to its group's bridge.
inline constexpr const char* kGroupInsideName = "eth1";

/// What a desktop's mates are addressed by all together: the address plan's prefix, whose IPv6 one
/// is not needed.
struct GroupPrefixes {
  Prefix v4;
};

/// The last address of an IPv4 prefix, by which all of it is addressed.
[[nodiscard]] Ipv4 broadcast_of(const Prefix& prefix);

/// Inside a desktop's namespace (of the calling thread): eth1 up, with the addresses that eth0 has;
/// to all and to multicast groups of both families over it. The rest goes over eth0, to single
/// mates too: over a bridge each would have to be asked for, and the kernel's table of neighbours,
/// one for the whole machine, has no room for everybody's mates, nor for all the addresses that one
/// desktop may call on. Errors: ENODEV without eth1.
[[nodiscard]] Result<void> configure_group_end(const Addresses& addresses,
                                               const GroupPrefixes& prefixes);

}  // namespace panal::netconfine
