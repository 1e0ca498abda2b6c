#include "netconfine/link/find_link.h"

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>

#include "netconfine/link/route_messages.h"
#include "netconfine/netlink/attributes.h"
#include "netconfine/netlink/dump.h"
#include "netconfine/netlink/request.h"

namespace panal::netconfine {
namespace {

Result<FoundLink> ask(NetlinkSocket& socket, Message question) {
  Result<FoundLink> found = fail(ENODEV, question.what);
  PANAL_TRY(socket.query(std::move(question), [&](const nlmsghdr* message) {
    if (message->nlmsg_type == RTM_NEWLINK) found = parse_link(payload_of(message));
  }));
  return found;
}

}  // namespace

Result<FoundLink> parse_link(std::span<const std::byte> payload) {
  const auto info = read_value<ifinfomsg>(payload);
  if (!info) return fail(EPROTO, "netlink: a cut link");
  FoundLink link;
  link.index = info->ifi_index;
  link.up = (info->ifi_flags & IFF_UP) != 0;
  Attributes walk(attributes_after(payload, sizeof(ifinfomsg)));
  while (const auto one = walk.next()) {
    switch (one->type) {
      case IFLA_IFNAME: link.name = read_text(one->payload); break;
      case IFLA_IFALIAS: link.alias = read_text(one->payload); break;
      case IFLA_GROUP: link.group = read_value<std::uint32_t>(one->payload).value_or(0); break;
      case IFLA_MASTER: link.master = read_value<int>(one->payload).value_or(0); break;
      case IFLA_LINK_NETNSID:
        link.peer_namespace = read_value<int>(one->payload).value_or(-1);
        break;
      case IFLA_LINK: link.peer = read_value<int>(one->payload).value_or(0); break;
      case IFLA_LINKINFO:
        link.kind = read_text(find_attribute(one->payload, IFLA_INFO_KIND));
        break;
      case IFLA_ADDRESS:
        for (const std::byte byte : one->payload) {
          link.mac.push_back(std::to_integer<std::uint8_t>(byte));
        }
        break;
      default: break;
    }
  }
  if (walk.broken()) return fail(EPROTO, "netlink: an attribute longer than its link");
  return link;
}

Result<FoundLink> find_link(NetlinkSocket& socket, const std::string& name) {
  PANAL_ASSIGN(auto question, get_link(name));
  return ask(socket, std::move(question));
}

Result<FoundLink> find_link(NetlinkSocket& socket, int index) {
  return ask(socket, get_link(index));
}

Result<int> namespace_number(NetlinkSocket& socket, const UniqueFd& other) {
  Request request(RTM_GETNSID, 0, rtgenmsg{}, "look up the number of a network namespace");
  request.u32(NETNSA_FD, static_cast<std::uint32_t>(other.get()));
  int number = -1;
  PANAL_TRY(socket.query(request.finish(), [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWNSID) return;
    const auto attributes = attributes_after(payload_of(message), sizeof(rtgenmsg));
    number = read_value<int>(find_attribute(attributes, NETNSA_NSID)).value_or(-1);
  }));
  return number;
}

Result<std::vector<FoundLink>> all_links(NetlinkSocket& socket) {
  std::vector<FoundLink> links;
  Result<void> parsed;
  PANAL_TRY(dump(
      socket, dump_links(), [&] { links.clear(); },
      [&](const nlmsghdr* message) {
        if (message->nlmsg_type != RTM_NEWLINK) return;
        auto link = parse_link(payload_of(message));
        if (link) {
          links.push_back(std::move(*link));
        } else if (parsed) {
          parsed = tl::make_unexpected(std::move(link.error()));
        }
      }));
  PANAL_TRY(std::move(parsed));
  return links;
}

}  // namespace panal::netconfine
