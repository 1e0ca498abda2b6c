#include "netconfine/conntrack/judge.h"

#include <netinet/in.h>

namespace panal::netconfine {
namespace {

constexpr std::uint8_t kEchoRequest4 = 8;
constexpr std::uint8_t kEchoRequest6 = 128;

Flow flow_of(const Connection& connection) {
  Flow flow;
  flow.v6 = connection.v6;
  flow.from4 = connection.from4;
  flow.to4 = connection.to4;
  flow.from6 = connection.from6;
  flow.to6 = connection.to6;
  flow.protocol = Protocol::kAny;
  if (connection.protocol == IPPROTO_TCP) flow.protocol = Protocol::kTcp;
  if (connection.protocol == IPPROTO_UDP) flow.protocol = Protocol::kUdp;
  if (flow.protocol != Protocol::kAny) flow.port = connection.to_port;
  const bool ping =
      connection.v6 ? connection.protocol == IPPROTO_ICMPV6 && connection.icmp_type == kEchoRequest6
                    : connection.protocol == IPPROTO_ICMP && connection.icmp_type == kEchoRequest4;
  if (ping) flow.protocol = Protocol::kIcmp;
  return flow;
}

bool is_loopback(const Connection& connection) {
  if (!connection.v6) return connection.from4[0] == 127 && connection.to4[0] == 127;
  constexpr Ipv6 kSelf = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return connection.from6 == kSelf && connection.to6 == kSelf;
}

}  // namespace

ConnectionJudge::ConnectionJudge(const Ruleset& rules, std::vector<Sender> senders)
    : rules_(rules), senders_(std::move(senders)) {
  for (const auto& sender : senders_) {
    by_ipv4_[sender.addresses.ipv4] = &sender;
    by_ipv6_[sender.addresses.ipv6] = &sender;
  }
}

const Sender* ConnectionJudge::find(bool v6, const Ipv4& ipv4, const Ipv6& ipv6) const {
  if (v6) {
    const auto found = by_ipv6_.find(ipv6);
    return found == by_ipv6_.end() ? nullptr : found->second;
  }
  const auto found = by_ipv4_.find(ipv4);
  return found == by_ipv4_.end() ? nullptr : found->second;
}

bool ConnectionJudge::allows(const Connection& connection) const {
  if (is_loopback(connection)) return true;
  const Sender* from = find(connection.v6, connection.from4, connection.from6);
  const Sender* to = find(connection.v6, connection.to4, connection.to6);
  if (from == nullptr && to == nullptr) return false;
  return explain(rules_, from, to, flow_of(connection)).allowed;
}

void GoneAddresses::add(const Addresses& addresses) {
  ipv4_.insert(addresses.ipv4);
  ipv6_.insert(addresses.ipv6);
}

bool GoneAddresses::has(const Connection& connection) const {
  if (connection.v6) return ipv6_.contains(connection.from6) || ipv6_.contains(connection.to6);
  return ipv4_.contains(connection.from4) || ipv4_.contains(connection.to4);
}

}  // namespace panal::netconfine
