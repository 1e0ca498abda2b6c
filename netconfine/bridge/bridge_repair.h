#pragma once

#include <set>
#include <span>
#include <vector>

#include "engine/model/ids.h"
#include "netconfine/bridge/bridge_audit.h"
#include "netconfine/bridge/bridge_state.h"
#include "netconfine/bridge/shard.h"
#include "netconfine/netlink/steps.h"

namespace panal::netconfine {

/// What makes bridges as meant again, as far as that goes without desktops' namespaces, in the
/// order it is to be done: what lets too much through goes first.
struct BridgeRepair {
  /// Desktops whose link goes: they are not meant, or it is on no bridge of their group's, or down.
  /// Those that are meant have to join anew.
  std::vector<DesktopId> leave;
  /// Links that are nobody's there are taken off, trunks that lead nowhere are deleted, ports get
  /// their settings and MACs.
  std::vector<Step> steps;
  /// Bridges to be set up anew, each with its trunk: those that are there, and hubs that are not.
  std::set<Shard> bridges;
};

[[nodiscard]] BridgeRepair bridge_repair(std::span<const GroupMember> meant,
                                         const BridgeState& found);

}  // namespace panal::netconfine
