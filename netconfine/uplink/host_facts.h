#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/netlink/socket.h"
#include "netconfine/uplink/host_table.h"
#include "netconfine/uplink/uplink_plan.h"

namespace panal::netconfine {

/// What an uplink has to know of the host before it changes it.
struct HostFacts {
  int device = 0;  ///< link index; 0: there is none of that name
  Mac device_mac{};
  bool forwards4 = false;      ///< the device forwards IPv4
  bool forwards6 = false;      ///< the host forwards IPv6
  bool default_route = false;  ///< the host's way out is the device
  std::string clash;           ///< a route of the host's among desktops' addresses; "": none
  TableShares shares;
  bool has_table = false;  ///< kHostTable is loaded
  HostTableMark mark;      ///< what our loaded table remembers
  std::vector<ForwardFilter> filters;
  std::map<std::string, std::vector<Words>> our_rules;  ///< by program
};

/// Looks, and changes nothing. For the calling thread's namespace, which `socket` must be of.
/// Programs that are not installed are as if they had no rules.
[[nodiscard]] Result<HostFacts> look_at_host(NetlinkSocket& socket, const UplinkPlan& plan);

}  // namespace panal::netconfine
