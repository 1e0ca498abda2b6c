#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ids.h"
#include "netconfine/link/find_link.h"

namespace panal::netconfine {

/// One of a group's bridges. A Linux bridge has 1,023 ports; desktops past what one takes are on
/// others, each of which hangs on number 0, the hub, by a trunk (a veth between the two).
struct Shard {
  std::uint32_t group = 0;  ///< group_number() (netconfine/policy/group_number.h)
  unsigned number = 0;      ///< 0..kMostShards - 1
  [[nodiscard]] auto operator<=>(const Shard&) const = default;
};

/// Desktops on one bridge, at most; the hub's other ports are for trunks.
inline constexpr unsigned kMostMembers = 1000;
inline constexpr unsigned kMostShards = 24;

// Names are all that is kept of a bridge: a new panald finds by them what an old one has made.

/// "pnb<group>-<number>", the group in eight hexadecimal digits.
[[nodiscard]] std::string bridge_name(const Shard& shard);
/// The ends of a shard's trunk: "pnt..." at its own bridge, "pnu..." at the hub.
[[nodiscard]] std::string trunk_name(const Shard& shard);
[[nodiscard]] std::string hub_trunk_name(const Shard& shard);
/// A desktop's port: "png<id>".
[[nodiscard]] std::string member_name(DesktopId id);

/// What such names stand for; nothing (0) when it is none, or not spelt as above.
[[nodiscard]] std::optional<Shard> shard_of_bridge(const std::string& name);
[[nodiscard]] std::optional<Shard> shard_of_trunk(const std::string& name);
[[nodiscard]] std::optional<Shard> shard_of_hub_trunk(const std::string& name);
[[nodiscard]] DesktopId id_of_member(const std::string& name);

/// How many desktops are on each bridge that is there.
using Occupancy = std::map<Shard, unsigned>;
[[nodiscard]] Occupancy occupancy(std::span<const FoundLink> links);
/// The lowest-numbered bridge of a group that takes one more desktop; it may have to be made.
/// `most`: desktops a bridge takes. Errors: ENOSPC when all have as many.
[[nodiscard]] Result<Shard> with_room(const Occupancy& members, std::uint32_t group, unsigned most);

/// Bridges that no desktop needs and trunks that lead nowhere, in the order they are to go: a hub
/// stays as long as any bridge of its group has a desktop.
[[nodiscard]] std::vector<std::string> unused_links(std::span<const FoundLink> links);

}  // namespace panal::netconfine
