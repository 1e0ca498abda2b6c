#include "netconfine/link/tap.h"

// clang-format off: glibc's headers before linux/*.h, which then leave out what they declare.
#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
// clang-format on

#include <algorithm>
#include <vector>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "netconfine/link/find_link.h"
#include "netconfine/link/route_messages.h"

namespace panal::netconfine {
namespace {

Result<void> settle(NetlinkSocket& socket, const Addresses& addresses) {
  PANAL_ASSIGN(const auto link, find_link(socket, addresses.link));
  std::vector<Message> messages;
  messages.push_back(settle_link(link.index, addresses.gateway_mac));
  auto done = socket.transact(std::move(messages));
  if (!done) return prefixed(addresses.link, std::move(done.error()));
  return {};
}

}  // namespace

Result<UniqueFd> add_tap(const Addresses& addresses, const uid_t* keep_for) {
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
  // TUNSETIFF takes a persistent tap of that name for its own, and says so to nobody.
  const auto taken = find_link(socket, addresses.link);
  if (taken) return fail(EEXIST, "add tap " + addresses.link);
  if (!taken.error().is_gone()) return tl::make_unexpected(taken.error());
  PANAL_ASSIGN(const auto devices, Dir::open(kernel_paths::kDev));
  PANAL_ASSIGN(auto tap, devices.open_file("net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  ifreq request{};
  std::copy_n(addresses.link.begin(), std::min<std::size_t>(addresses.link.size(), IFNAMSIZ - 1),
              request.ifr_name);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (ioctl(tap.get(), TUNSETIFF, &request) != 0) return fail_errno("add tap", addresses.link);
  if (keep_for != nullptr) {
    if (ioctl(tap.get(), TUNSETOWNER, static_cast<unsigned long>(*keep_for)) != 0 ||
        ioctl(tap.get(), TUNSETPERSIST, 1UL) != 0) {
      return fail_errno("keep tap", addresses.link);
    }
  }
  auto settled = settle(socket, addresses);
  if (!settled) {
    if (keep_for != nullptr) (void)ioctl(tap.get(), TUNSETPERSIST, 0UL);
    return tl::make_unexpected(std::move(settled.error()));
  }
  return tap;
}

Result<void> adopt_tap(NetlinkSocket& there, NetlinkSocket& socket, const UniqueFd& here,
                       const Addresses& addresses) {
  PANAL_ASSIGN(const auto link, find_link(there, addresses.link));
  if (link.kind != "tun") {
    return fail(EINVAL, "take over " + addresses.link + ": it is no tap");
  }
  std::vector<Message> messages;
  messages.push_back(move_link(link.index, here.get(), addresses.link));
  PANAL_TRY(there.transact(std::move(messages)));
  return settle(socket, addresses);
}

}  // namespace panal::netconfine
