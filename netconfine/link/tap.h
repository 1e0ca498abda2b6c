#pragma once

#include <sys/types.h>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

// The host end of a virtual machine's network card. It has a desktop's link name and MAC, no ARP
// and no address, so RoutedVeths::bring_up, the firewall and Qos treat it as they treat a veth;
// what a container finds in its namespace (addresses, default route over kGateway4/6, permanent
// neighbours) the machine is given by its own configuration.

/// Makes the tap `addresses.link`, down, in the calling thread's network namespace. Frames are read
/// and written through the descriptor (to be handed to QEMU); with it closed the link goes, unless
/// `keep_for` is a user who may open it again by name.
/// Errors: EEXIST when the name is taken, EPERM, ENOENT without /dev/net/tun.
[[nodiscard]] Result<UniqueFd> add_tap(const Addresses& addresses, const uid_t* keep_for = nullptr);

/// Takes over a tap that another program (libvirt) has made as `addresses.link` in the namespace of
/// `there`, a socket of it: moved into `here` (a descriptor of the namespace of `socket`), down,
/// with our MAC and flags. Who has it open keeps it. Errors: ENODEV; EEXIST when the name is taken
/// here.
[[nodiscard]] Result<void> adopt_tap(NetlinkSocket& there, NetlinkSocket& socket,
                                     const UniqueFd& here, const Addresses& addresses);

}  // namespace panal::netconfine
