#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// Where every desktop sends its packets: link-local addresses nobody owns. They only name the
/// host end's MAC, which stands in the desktop's neighbour table; the host end has no address, so
/// a desktop finds nothing there to talk to.
inline constexpr Ipv4 kGateway4 = {169, 254, 1, 1};
inline constexpr Ipv6 kGateway6 = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
/// The desktop's end.
inline constexpr const char* kInsideName = "eth0";

/// A link to be made.
struct NewLink {
  Addresses addresses;
  int desktop_namespace = -1;  ///< descriptor of a network namespace
};

/// Makes and removes routed point-to-point veths, from Panal's network namespace.
/// Nothing is resolved on them, neither ARP nor neighbour discovery: both ends have permanent
/// neighbours. Not thread-safe.
class RoutedVeths {
 public:
  /// For the network namespace of the calling thread. Errors: those of NetlinkSocket::open.
  [[nodiscard]] static Result<RoutedVeths> open();

  /// A pair: `addresses.link` here (down, no ARP), eth0 directly in `desktop_namespace` (down).
  /// Errors: EEXIST when either name is taken.
  [[nodiscard]] Result<void> add(const Addresses& addresses, const UniqueFd& desktop_namespace);
  /// Several at once: all or none. A batch saves little (the kernel takes its lock for each).
  [[nodiscard]] Result<void> add(std::span<const NewLink> links);
  /// Brings the host end up, with route and permanent neighbour to the desktop. The host end may be
  /// any kind of link that is there under that name: a veth, or a machine's tap (tap.h).
  [[nodiscard]] Result<void> bring_up(const Addresses& addresses);
  /// Errors: ENODEV.
  [[nodiscard]] Result<void> take_down(const std::string& link);
  [[nodiscard]] Result<void> bring_up(std::span<const Addresses> addresses);
  /// Removes a link by name. Errors: ENODEV.
  [[nodiscard]] Result<void> remove(const std::string& link);
  /// Several at once; those that are not there are not an error. The kernel waits for its readers
  /// once for all of them, and not once for each: 400 cost hardly more than one.
  [[nodiscard]] Result<void> remove(std::span<const std::string> links);
  /// Links of these desktops that a process which ended in the middle of such a remove() has left
  /// among those to go: the next one would take them along. Those that are not there are fine.
  [[nodiscard]] Result<void> keep(const std::set<DesktopId>& ids);
  /// True when there is a link of that name.
  [[nodiscard]] Result<bool> exists(const std::string& link);
  /// Ids of all our host ends.
  [[nodiscard]] Result<std::vector<DesktopId>> list();
  /// Of those that are down.
  [[nodiscard]] Result<std::vector<DesktopId>> list_down();

 private:
  explicit RoutedVeths(NetlinkSocket socket) : socket_(std::move(socket)) {}

  NetlinkSocket socket_;
};

/// Inside a desktop's namespace (of the calling thread): sysctls, before eth0 exists.
[[nodiscard]] Result<void> prepare_desktop_namespace();
/// Inside a desktop's namespace (of the calling thread): lo up; eth0 with addresses, up, default
/// routes and permanent neighbours, besides which nobody is asked for.
[[nodiscard]] Result<void> configure_desktop_end(const Addresses& addresses);
/// Inside a desktop's namespace (of the calling thread): by this link may come what would not be
/// answered by it. Rules see to it that it comes from whom it says.
[[nodiscard]] Result<void> take_from_everywhere(const std::string& link);
/// Inside Panal's namespace (of the calling thread): forwarding only where somebody may reach
/// something, no redirects, strict reverse path, no answer to ARP, nothing learnt from router
/// advertisements, no link-local addresses; connections begin at their beginning.
[[nodiscard]] Result<void> prepare_panal_namespace(bool forwarding);

/// A sysctl that is no longer as prepare_panal_namespace() made it.
struct ChangedSetting {
  std::string name;  ///< "net.ipv4.ip_forward"
  std::string value;
  std::string wanted;
};
/// Inside Panal's namespace (of the calling thread). With `forwarding`, whether packets are passed
/// on is not looked at: an uplink may want one family only.
[[nodiscard]] Result<std::vector<ChangedSetting>> changed_settings(bool forwarding);

}  // namespace panal::netconfine
