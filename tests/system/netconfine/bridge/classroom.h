#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "netconfine/bridge/group_bridges.h"
#include "tests/system/netconfine/sandbox.h"

namespace panal::netconfine::testing {

/// Two groups, by number (any will do).
inline constexpr std::uint32_t kRoom = 0xbac24a40, kHall = 0x1f;

/// A namespace of Panal's, without any rules, with desktops on groups' bridges: what is kept apart
/// there is kept apart by the bridges alone.
class Classroom {
 public:
  /// `most`: desktops a bridge takes.
  explicit Classroom(unsigned most = kMostMembers);

  /// As a new panald opens them.
  void open_again(unsigned most = kMostMembers);
  [[nodiscard]] GroupBridges& bridges() { return *bridges_; }
  [[nodiscard]] const UniqueFd& panal() const { return panal_; }

  /// A desktop: a network namespace without links.
  void add(DesktopId id);
  /// With its routed link besides.
  void add_with_routed_link(DesktopId id);
  /// Ends its namespace.
  void end(DesktopId id) { inside_.erase(id); }
  [[nodiscard]] const UniqueFd& inside(DesktopId id) const { return inside_.at(id); }

  [[nodiscard]] static Addresses addresses(DesktopId id);
  [[nodiscard]] static GroupPrefixes prefixes();
  [[nodiscard]] Result<void> try_join(DesktopId id, std::uint32_t group);
  /// Joins, waits until frames pass, and is meant to be there from now on.
  void join(DesktopId id, std::uint32_t group);
  void leave(DesktopId id);

  /// Drifts from what was joined and left here, a line each.
  [[nodiscard]] std::string audit();
  /// Links of groups, "png1 pnb0000001f-0 ", in the order of names.
  [[nodiscard]] std::string links() const;

  /// Whether one desktop hears what another says to all, again and again for a while.
  [[nodiscard]] bool hears(DesktopId to, DesktopId from, bool v6);
  /// Says something to an address (broadcast, multicast); who of `ears` has heard it.
  [[nodiscard]] std::vector<DesktopId> who_hears(DesktopId from, const std::string& address,
                                                 const std::vector<DesktopId>& ears);

 private:
  UniqueFd panal_ = new_network_namespace();
  std::optional<GroupBridges> bridges_;
  std::map<DesktopId, UniqueFd> inside_;
  std::map<DesktopId, GroupMember> meant_;
};

}  // namespace panal::netconfine::testing
