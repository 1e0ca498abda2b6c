#pragma once

#include <map>
#include <set>
#include <vector>

#include "netconfine/conntrack/connections.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// Says of connections that are there already whether rules (still) allow them: explain(), by
/// their first packet.
class ConnectionJudge {
 public:
  ConnectionJudge(const Ruleset& rules, std::vector<Sender> senders);

  /// One that begins and ends at no desktop is nobody's, loopback's apart.
  [[nodiscard]] bool allows(const Connection& connection) const;

 private:
  [[nodiscard]] const Sender* find(bool v6, const Ipv4& ipv4, const Ipv6& ipv6) const;

  const Ruleset& rules_;
  std::vector<Sender> senders_;
  std::map<Ipv4, const Sender*> by_ipv4_;
  std::map<Ipv6, const Sender*> by_ipv6_;
};

/// Addresses all of whose connections are to end.
class GoneAddresses {
 public:
  void add(const Addresses& addresses);
  [[nodiscard]] bool has(const Connection& connection) const;

 private:
  std::set<Ipv4> ipv4_;
  std::set<Ipv6> ipv6_;
};

}  // namespace panal::netconfine
