#pragma once

#include "engine/base/result.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/policy/policy.h"

namespace panal::netconfine {

/// A desktop's end of the link to its group's bridge.
inline constexpr const char* kGroupInsideName = "eth1";

/// Where a desktop's mates are: the address plan's prefixes.
struct GroupPrefixes {
  Prefix v4;
  Prefix v6;
};

/// The last address of an IPv4 prefix, by which all of it is addressed.
[[nodiscard]] Ipv4 broadcast_of(const Prefix& prefix);

/// Inside a desktop's namespace (of the calling thread): eth1 up, with the addresses that eth0 has;
/// to mates, to all and to multicast groups of both families over it. The rest goes over eth0.
/// Errors: ENODEV without eth1.
[[nodiscard]] Result<void> configure_group_end(const Addresses& addresses,
                                               const GroupPrefixes& prefixes);

}  // namespace panal::netconfine
