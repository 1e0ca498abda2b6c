#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// Ports that one bridge is given, of the 1,023 that the kernel has: the others are for bridges
/// beside it.
inline constexpr unsigned kPortsOfABridge = 1000;
/// A desktop's link to its group, in the desktop.
inline constexpr const char* kGroupInsideName = "eth1";

/// "png<id>".
[[nodiscard]] std::string group_link_name(DesktopId id);
/// The id in such a name; 0 when it is none.
[[nodiscard]] DesktopId id_of_group_link(const std::string& name);
/// "pnb<group>-<number>"; number 0 is the one that the others are connected to.
[[nodiscard]] std::string bridge_name(std::uint32_t group, unsigned number);

/// Prefixes that a desktop reaches over its group's link.
struct GroupPrefixes {
  Ipv4 network4{};
  std::uint8_t length4 = 0;
  Ipv6 network6{};
  std::uint8_t length6 = 0;
};

/// Bridges for groups whose desktops need frames to all (a classroom's programs that find each
/// other by broadcast). A desktop has a second link there, with the addresses and the MAC it has
/// anyway. MACs are entered, not learnt; neighbours are answered for by the bridge. The rules of
/// the bridge family (bridge_rules.h) are to be in force before anybody joins.
/// For the network namespace of the thread that opened it. Not thread-safe.
class GroupBridges {
 public:
  /// `ports`: desktops that one bridge takes, 1..1000.
  [[nodiscard]] static Result<GroupBridges> open(unsigned ports = kPortsOfABridge);

  /// Adds the desktop's link; its group's bridge, too, where there is none, and another beside it
  /// where it is full. Up last. On error the link is gone again.
  /// Errors: EEXIST where it has one already; EINVAL for a group that is not 1..65535.
  [[nodiscard]] Result<void> join(std::uint32_t group, const Addresses& addresses,
                                  const UniqueFd& desktop_namespace, const GroupPrefixes& prefixes);
  /// Not being there is no error. The last one to leave takes nothing else along.
  [[nodiscard]] Result<void> leave(const Addresses& addresses);
  /// Deletes a group's bridges; links of desktops stay, without a bridge. None is no error.
  [[nodiscard]] Result<void> remove_group(std::uint32_t group);

  struct Port {
    DesktopId id = 0;
    std::string bridge;  ///< "": none
  };
  /// Desktops' links to their groups, as the kernel has them.
  [[nodiscard]] Result<std::vector<Port>> ports();

 private:
  struct Link {
    int index = 0;
    int master = 0;
    std::string name;
  };
  GroupBridges(NetlinkSocket socket, unsigned ports) : socket_(std::move(socket)), ports_(ports) {}
  [[nodiscard]] Result<std::vector<Link>> links();
  [[nodiscard]] Result<int> bridge_with_room(std::uint32_t group);
  [[nodiscard]] Result<int> make_bridge(std::uint32_t group, unsigned number);
  [[nodiscard]] Result<void> connect(std::uint32_t group, unsigned number);
  [[nodiscard]] Result<void> send(std::vector<Message> messages);
  [[nodiscard]] Result<int> index_of(const std::string& name);

  NetlinkSocket socket_;
  unsigned ports_;
};

}  // namespace panal::netconfine
