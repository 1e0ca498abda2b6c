#include "netconfine/bridge/bridge_state.h"

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <string>

#include "netconfine/bridge/bridge_messages.h"
#include "netconfine/bridge/shard.h"
#include "netconfine/link/route_messages.h"
#include "netconfine/netlink/attributes.h"
#include "netconfine/netlink/dump.h"

namespace panal::netconfine {
namespace {

constexpr const char* kBridgeKind = "bridge";

/// Attributes that are numbers; what is longer begins with one that matters, or does not matter.
Result<std::map<std::uint16_t, std::uint32_t>> numbers_in(std::span<const std::byte> attributes) {
  std::map<std::uint16_t, std::uint32_t> numbers;
  Attributes walk(attributes);
  while (const auto one = walk.next()) {
    if (one->payload.size() >= sizeof(std::uint32_t)) {
      numbers[one->type] = read_value<std::uint32_t>(one->payload).value_or(0);
    } else if (one->payload.size() >= sizeof(std::uint16_t)) {
      numbers[one->type] = read_value<std::uint16_t>(one->payload).value_or(0);
    } else {
      numbers[one->type] = read_value<std::uint8_t>(one->payload).value_or(0);
    }
  }
  if (walk.broken()) return fail(EPROTO, "netlink: a setting longer than its bridge");
  return numbers;
}

/// Calls `take` with each message of one type; the first error of it is kept.
template <typename Take>
Result<void> each_of(NetlinkSocket& socket, const Message& question, std::uint16_t type,
                     const std::function<void()>& begin, const Take& take) {
  Result<void> taken;
  PANAL_TRY(dump(
      socket, question,
      [&] {
        taken = Result<void>();
        begin();
      },
      [&](const nlmsghdr* message) {
        if (message->nlmsg_type == type && taken) taken = take(payload_of(message));
      }));
  return taken;
}

}  // namespace

Result<BridgeLink> parse_bridge_link(std::span<const std::byte> payload) {
  BridgeLink found;
  PANAL_ASSIGN(found.link, parse_link(payload));
  const auto info = find_attribute(attributes_after(payload, sizeof(ifinfomsg)), IFLA_LINKINFO);
  if (found.link.kind == kBridgeKind) {
    PANAL_ASSIGN(found.bridge, numbers_in(find_attribute(info, IFLA_INFO_DATA)));
  }
  if (read_text(find_attribute(info, IFLA_INFO_SLAVE_KIND)) == kBridgeKind) {
    PANAL_ASSIGN(found.port, numbers_in(find_attribute(info, IFLA_INFO_SLAVE_DATA)));
  }
  return found;
}

Result<std::optional<PortMac>> parse_port_mac(std::span<const std::byte> payload) {
  const auto neighbour = read_value<ndmsg>(payload);
  if (!neighbour) return fail(EPROTO, "netlink: a cut neighbour");
  if (neighbour->ndm_family != AF_BRIDGE) return std::nullopt;
  // "Permanent" here means the bridge's own, and what the link itself listens to.
  if ((neighbour->ndm_state & NUD_PERMANENT) != 0 || (neighbour->ndm_flags & NTF_SELF) != 0)
    return std::nullopt;
  PortMac found;
  found.port = neighbour->ndm_ifindex;
  found.entered = (neighbour->ndm_state & NUD_NOARP) != 0;
  Attributes walk(attributes_after(payload, sizeof(ndmsg)));
  bool has_mac = false;
  while (const auto one = walk.next()) {
    if (one->type != NDA_LLADDR) continue;
    const auto mac = read_value<Mac>(one->payload);
    if (!mac) return fail(EPROTO, "netlink: a cut MAC");
    found.mac = *mac;
    has_mac = true;
  }
  if (walk.broken()) return fail(EPROTO, "netlink: an attribute longer than its neighbour");
  if (!has_mac) return std::nullopt;
  return found;
}

Result<BridgeState> read_bridge_state(NetlinkSocket& socket) {
  BridgeState state;
  PANAL_TRY(each_of(
      socket, dump_links(), RTM_NEWLINK, [&] { state.links.clear(); },
      [&](std::span<const std::byte> payload) -> Result<void> {
        PANAL_ASSIGN(auto link, parse_bridge_link(payload));
        state.links.push_back(std::move(link));
        return {};
      }));
  for (const BridgeLink& bridge : state.links) {
    if (!shard_of_bridge(bridge.link.name) || bridge.link.kind != kBridgeKind) continue;
    std::vector<PortMac> macs;
    auto listed = each_of(
        socket, list_macs(bridge.link.index), RTM_NEWNEIGH, [&] { macs.clear(); },
        [&](std::span<const std::byte> payload) -> Result<void> {
          PANAL_ASSIGN(const auto mac, parse_port_mac(payload));
          if (mac) macs.push_back(*mac);
          return {};
        });
    // One that has gone since then has no MACs; that it has gone, the next look sees.
    if (!listed && !listed.error().is_gone()) return tl::make_unexpected(listed.error());
    state.macs.insert(state.macs.end(), macs.begin(), macs.end());
  }
  // A bridge that knows VLANs has an entry for each of them.
  std::sort(state.macs.begin(), state.macs.end());
  state.macs.erase(std::unique(state.macs.begin(), state.macs.end()), state.macs.end());
  return state;
}

}  // namespace panal::netconfine
