#include "netconfine/firewall/nft/conntrack.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace panal::netconfine {
namespace {

class Buffer {
 public:
  nlmsghdr* begin(int type, std::uint8_t family, int flags) {
    nlmsghdr* header = mnl_nlmsg_put_header(bytes_.data());
    header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type);
    header->nlmsg_flags = static_cast<std::uint16_t>(flags);
    auto* family_header =
        static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    family_header->nfgen_family = family;
    return header;
  }

 private:
  alignas(nlmsghdr) std::array<char, 2048> bytes_{};
};

// The attributes of a message (or of one of them) that are of interest, by type.
template <std::size_t kCount>
using Found = std::array<const nlattr*, kCount>;

template <std::size_t kCount>
int take(const nlattr* attribute, void* to) {
  const auto type = mnl_attr_get_type(attribute);
  if (type < kCount) (*static_cast<Found<kCount>*>(to))[type] = attribute;
  return MNL_CB_OK;
}

std::vector<std::uint8_t> bytes_of(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  const auto* first = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
  return {first, first + mnl_attr_get_payload_len(attribute)};
}

Found<CTA_MAX + 1> parts_of(const nlmsghdr* message) {
  Found<CTA_MAX + 1> parts{};
  if (message->nlmsg_len >= NLMSG_HDRLEN + sizeof(nfgenmsg)) {
    mnl_attr_parse(message, sizeof(nfgenmsg), take<CTA_MAX + 1>, &parts);
  }
  return parts;
}

Result<bool> has_connections(NetlinkSocket& socket) {
  Buffer buffer;
  std::uint32_t count = 0;
  PANAL_TRY(socket.query(
      {buffer.begin(IPCTNL_MSG_CT_GET_STATS, AF_UNSPEC, 0), "conntrack: count connections"},
      [&](const nlmsghdr* message) {
        Found<CTA_STATS_GLOBAL_MAX + 1> parts{};
        mnl_attr_parse(message, sizeof(nfgenmsg), take<CTA_STATS_GLOBAL_MAX + 1>, &parts);
        const nlattr* entries = parts[CTA_STATS_GLOBAL_ENTRIES];
        if (entries != nullptr && mnl_attr_get_payload_len(entries) == 4) {
          count = ntohl(mnl_attr_get_u32(entries));
        }
      }));
  return count != 0;
}

// The request that ends the connection in a message of the listing: by what it began with, and its
// id, so that a newer one with the same ends lives.
Message end_of(const nlmsghdr* listed) {
  const auto parts = parts_of(listed);
  Buffer buffer;
  const auto family = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(listed))->nfgen_family;
  nlmsghdr* header = buffer.begin(IPCTNL_MSG_CT_DELETE, family, 0);
  for (const int type : {CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE}) {
    const nlattr* part = parts[static_cast<std::size_t>(type)];
    if (part == nullptr) continue;
    mnl_attr_put(header, static_cast<std::uint16_t>(part->nla_type & ~NLA_F_NET_BYTEORDER),
                 mnl_attr_get_payload_len(part), mnl_attr_get_payload(part));
  }
  return {header, "conntrack: end a connection"};
}

}  // namespace

Result<ConnectionEnds> parse_connection(const nlmsghdr* message) {
  const auto bad = [] { return fail(EPROTO, "conntrack: a connection without its addresses"); };
  const auto parts = parts_of(message);
  if (parts[CTA_TUPLE_ORIG] == nullptr) return bad();
  Found<CTA_TUPLE_MAX + 1> tuple{};
  mnl_attr_parse_nested(parts[CTA_TUPLE_ORIG], take<CTA_TUPLE_MAX + 1>, &tuple);
  if (tuple[CTA_TUPLE_IP] == nullptr) return bad();
  Found<CTA_IP_MAX + 1> ip{};
  mnl_attr_parse_nested(tuple[CTA_TUPLE_IP], take<CTA_IP_MAX + 1>, &ip);
  const bool v6 = ip[CTA_IP_V6_SRC] != nullptr;
  ConnectionEnds ends{.source = bytes_of(ip[v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC]),
                      .destination = bytes_of(ip[v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST])};
  const std::size_t length = v6 ? 16 : 4;
  if (ends.source.size() != length || ends.destination.size() != length) return bad();
  return ends;
}

Result<void> end_connections(NetlinkSocket& socket,
                             const std::function<bool(const ConnectionEnds&)>& which) {
  PANAL_ASSIGN(const bool any, has_connections(socket));
  if (!any) return {};
  // A listing is disturbed by connections that come and go, and is whole enough: what is not in it
  // has begun after the rules stopped to let it through.
  std::vector<Message> ends;
  Result<void> parsed;
  Buffer buffer;
  const auto listed = socket.query(
      {buffer.begin(IPCTNL_MSG_CT_GET, AF_UNSPEC, NLM_F_DUMP), "conntrack: list connections"},
      [&](const nlmsghdr* message) {
        const auto connection = parse_connection(message);
        if (!connection) {
          if (parsed) parsed = tl::make_unexpected(connection.error());
        } else if (which(*connection)) {
          ends.push_back(end_of(message));
        }
      });
  if (!listed && listed.error().code != EINTR) return listed;
  PANAL_TRY(parsed);
  constexpr std::size_t kPerDatagram = 1024;
  for (std::size_t first = 0; first < ends.size(); first += kPerDatagram) {
    const auto begin = ends.begin() + static_cast<std::ptrdiff_t>(first);
    const auto count = static_cast<std::ptrdiff_t>(std::min(kPerDatagram, ends.size() - first));
    PANAL_ASSIGN(const auto refusals, socket.try_transact({begin, begin + count}));
    for (const Refusal& refusal : refusals) {
      if (!refusal.error.is_gone()) return tl::make_unexpected(refusal.error);
    }
  }
  return {};
}

}  // namespace panal::netconfine
