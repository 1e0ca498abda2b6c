#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/bridge/bridge_audit.h"
#include "netconfine/bridge/group_end.h"
#include "netconfine/bridge/shard.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// A desktop's link to its group, as the kernel has it.
struct GroupPort {
  DesktopId id = 0;
  std::optional<Shard> bridge;  ///< none: it is not made to its end, or its bridge is gone
  bool up = false;
};

/// Bridges for groups whose desktops are to hear each other's frames to all (programs that find
/// each other by broadcast or multicast). A desktop has a second link for it, png<id> here and eth1
/// inside, with the MAC and the addresses that it has anyway; its routed link stays. Nothing is
/// stored: what there is follows from the names of links.
///
/// A port is up only when all of it is in place: whatever a crash leaves is down, and made anew by
/// the next join(). What passes a bridge is the rules' affair (bridge family), which must stand
/// before anybody joins. For the network namespace of the thread that opened it. Not thread-safe.
class GroupBridges {
 public:
  /// `most`: desktops that one bridge takes, 1..kMostMembers. Errors: EINVAL past these; those of
  /// NetlinkSocket::open.
  [[nodiscard]] static Result<GroupBridges> open(unsigned most = kMostMembers);

  /// Puts a desktop on its group's bridge, which is made if need be, or on another beside it where
  /// it is full. Up last. Is it there already, its port is only set up anew; is it half made, on
  /// another group's or another namespace's, that goes first. On error it is on none; an empty
  /// bridge may stay (remove_empty()). `group`: group_number(); `addresses`: as the plan has them.
  /// Errors: EINVAL for a group of 0 or a link that is no desktop's; EXDEV when the desktop's
  /// routed link leads into another namespace; ENOSPC when all of a group's bridges are full;
  /// EEXIST when the desktop has an eth1 of its own.
  [[nodiscard]] Result<void> join(std::uint32_t group, const Addresses& addresses,
                                  const UniqueFd& desktop_namespace, const GroupPrefixes& prefixes);
  /// Down first. Those that are not there are no error. Bridges stay.
  [[nodiscard]] Result<void> leave(std::span<const DesktopId> ids);
  [[nodiscard]] Result<void> leave(DesktopId id);

  /// Links of desktops to groups, whole or not.
  [[nodiscard]] Result<std::vector<GroupPort>> ports();
  /// Deletes bridges that no desktop is on, with their trunks.
  [[nodiscard]] Result<void> remove_empty();
  /// What there is of links and bridges, for bridge_differences().
  [[nodiscard]] Result<BridgeState> look() { return read_bridge_state(socket_); }
  /// What is not as `meant` (all members of all groups). Empty: as meant.
  [[nodiscard]] Result<std::vector<Drift>> audit(std::span<const GroupMember> meant);
  /// Makes it as meant, but for desktops that have to join() anew: those whose port is missing,
  /// down or on no bridge of their group's. It is then missing.
  [[nodiscard]] Result<void> repair(std::span<const GroupMember> meant);

 private:
  /// Indices, which change when somebody makes a link anew.
  struct Ready {
    int bridge = 0;
    int hub = 0;  ///< of a hub itself: its own
    [[nodiscard]] bool operator==(const Ready&) const = default;
  };

  GroupBridges(NetlinkSocket socket, unsigned most) : socket_(std::move(socket)), most_(most) {}
  /// May leave a port that is up where it fails.
  [[nodiscard]] Result<void> put_on(std::uint32_t group, const Addresses& own,
                                    const UniqueFd& desktop_namespace,
                                    const GroupPrefixes& prefixes);
  [[nodiscard]] Result<void> tell(Message message);
  [[nodiscard]] Result<std::optional<FoundLink>> look_up(const std::string& name);
  /// Whoever looked a namespace up may have got another one's: a process had ended, and its number
  /// was another's.
  [[nodiscard]] Result<void> must_be_of(DesktopId id, const UniqueFd& desktop_namespace);
  /// The port, where all but its settings is in place; else nothing.
  [[nodiscard]] Result<std::optional<FoundLink>> whole_port(const std::string& port,
                                                            std::uint32_t group,
                                                            const UniqueFd& desktop_namespace);
  [[nodiscard]] Result<Shard> shard_with_room(std::uint32_t group);
  [[nodiscard]] Result<int> ready(const Shard& shard);
  [[nodiscard]] Result<void> connect(const Shard& shard, const Ready& indices);
  [[nodiscard]] Result<void> add_port(const Addresses& own, int bridge,
                                      const UniqueFd& desktop_namespace,
                                      const GroupPrefixes& prefixes);

  NetlinkSocket socket_;
  unsigned most_;
  std::map<Shard, Ready> ready_;  ///< bridges that this object has set up
  /// At most as many are there: those that leave, or whose namespace ends, are counted when a
  /// bridge seems full. A join then costs the same however many there are.
  Occupancy members_;
};

}  // namespace panal::netconfine
