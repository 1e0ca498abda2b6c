#include "netconfine/conntrack/connections.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <array>
#include <cstring>

namespace panal::netconfine {
namespace {

constexpr std::size_t kDeletesAtOnce = 64;
// Both are whole words already; the macros for that are signed.
constexpr std::size_t kHeaderBytes = sizeof(nlmsghdr);
constexpr std::size_t kBeforeAttributes = kHeaderBytes + sizeof(nfgenmsg);

using Attributes = std::array<const nlattr*, CTA_MAX + 1>;

/// Attributes of one level by number; those past `CTA_MAX` are of newer kernels.
int keep(const nlattr* attribute, void* to) {
  const auto type = mnl_attr_get_type(attribute);
  if (type <= CTA_MAX) (*static_cast<Attributes*>(to))[type] = attribute;
  return MNL_CB_OK;
}

bool nested(const nlattr* attribute, Attributes& inside) {
  inside.fill(nullptr);
  return attribute != nullptr && mnl_attr_parse_nested(attribute, keep, &inside) == MNL_CB_OK;
}

template <typename T>
bool read(const nlattr* attribute, T& value) {
  if (attribute == nullptr || mnl_attr_get_payload_len(attribute) != sizeof(T)) return false;
  std::memcpy(&value, mnl_attr_get_payload(attribute), sizeof(T));
  return true;
}

bool read_port(const nlattr* attribute, std::uint16_t& port) {
  if (!read(attribute, port)) return false;
  port = ntohs(port);
  return true;
}

void append(std::vector<std::byte>& key, const nlattr* attribute) {
  if (attribute == nullptr) return;
  const auto* first = reinterpret_cast<const std::byte*>(attribute);
  key.insert(key.end(), first, first + attribute->nla_len);
  key.resize((key.size() + 3) / 4 * 4);
}

Message request(std::uint16_t type, std::uint16_t flags, std::uint8_t family,
                std::span<const std::byte> attributes, const char* what) {
  std::vector<std::byte> bytes(kBeforeAttributes);
  const auto length = bytes.size() + attributes.size();
  bytes.insert(bytes.end(), attributes.begin(), attributes.end());
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(length);
  header.nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type);
  header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  nfgenmsg netfilter{};
  netfilter.nfgen_family = family;
  netfilter.version = NFNETLINK_V0;
  std::memcpy(bytes.data(), &header, sizeof(header));
  std::memcpy(bytes.data() + kHeaderBytes, &netfilter, sizeof(netfilter));
  return {reinterpret_cast<const nlmsghdr*>(bytes.data()), what};
}

}  // namespace

Result<Connection> parse_tracked(const nlmsghdr* message) {
  const auto bad = [] { return fail(EPROTO, "the kernel's list of connections"); };
  // The kernel fills attributes up; libmnl would read a cut message up to the next word.
  if (message->nlmsg_len < kBeforeAttributes || message->nlmsg_len % NLMSG_ALIGNTO != 0)
    return bad();
  Attributes attributes{};
  Attributes tuple{};
  Attributes ip{};
  Attributes protocol{};
  if (mnl_attr_parse(message, sizeof(nfgenmsg), keep, &attributes) != MNL_CB_OK) return bad();
  if (!nested(attributes[CTA_TUPLE_ORIG], tuple) || !nested(tuple[CTA_TUPLE_IP], ip) ||
      !nested(tuple[CTA_TUPLE_PROTO], protocol))
    return bad();
  Connection connection;
  connection.v6 = ip[CTA_IP_V6_SRC] != nullptr;
  const bool addresses =
      connection.v6
          ? read(ip[CTA_IP_V6_SRC], connection.from6) && read(ip[CTA_IP_V6_DST], connection.to6)
          : read(ip[CTA_IP_V4_SRC], connection.from4) && read(ip[CTA_IP_V4_DST], connection.to4);
  if (!addresses || !read(protocol[CTA_PROTO_NUM], connection.protocol)) return bad();
  // Not every protocol has ports.
  (void)read_port(protocol[CTA_PROTO_SRC_PORT], connection.from_port);
  (void)read_port(protocol[CTA_PROTO_DST_PORT], connection.to_port);
  (void)(read(protocol[CTA_PROTO_ICMP_TYPE], connection.icmp_type) ||
         read(protocol[CTA_PROTO_ICMPV6_TYPE], connection.icmp_type));
  for (const int type : {CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID})
    append(connection.key, attributes[static_cast<std::size_t>(type)]);
  return connection;
}

Result<ConnectionTable> ConnectionTable::open() {
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_NETFILTER));
  return ConnectionTable(std::move(socket));
}

Result<std::vector<Connection>> ConnectionTable::list() {
  constexpr int kAttempts = 10;
  for (int attempt = 1;; ++attempt) {
    std::vector<Connection> connections;
    Result<void> parsed;
    auto listed =
        socket_.query(request(IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC, {}, "list connections"),
                      [&](const nlmsghdr* message) {
                        auto connection = parse_tracked(message);
                        if (connection) {
                          connections.push_back(std::move(*connection));
                        } else if (parsed) {
                          parsed = tl::make_unexpected(std::move(connection.error()));
                        }
                      });
    if (!listed && listed.error().code == EINTR && attempt < kAttempts) continue;
    PANAL_TRY(std::move(listed));
    PANAL_TRY(std::move(parsed));
    return connections;
  }
}

Result<std::size_t> ConnectionTable::forget(const std::function<bool(const Connection&)>& which) {
  PANAL_ASSIGN(const auto connections, list());
  std::vector<Message> messages;
  std::size_t forgotten = 0;
  const auto send = [&]() -> Result<void> {
    const auto count = messages.size();
    if (count == 0) return {};
    PANAL_ASSIGN(const auto refusals, socket_.try_transact(std::move(messages)));
    messages.clear();
    for (const auto& refusal : refusals)
      if (!refusal.error.is_gone()) return tl::make_unexpected(refusal.error);
    forgotten += count - refusals.size();
    return {};
  };
  for (const auto& connection : connections) {
    if (!which(connection)) continue;
    messages.push_back(request(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, connection.v6 ? AF_INET6 : AF_INET,
                               connection.key, "forget a connection"));
    if (messages.size() == kDeletesAtOnce) PANAL_TRY(send());
  }
  PANAL_TRY(send());
  return forgotten;
}

}  // namespace panal::netconfine
