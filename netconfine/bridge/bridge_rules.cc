#include "netconfine/bridge/bridge_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "netconfine/bridge/group_bridges.h"

namespace panal::netconfine {
namespace {

// Frames to many, of one desktop and protocol.
constexpr const char* kManyLimit = "--limit 100/sec --limit-burst 200";

using Member = std::pair<std::string, const Addresses*>;  ///< the id's digits

/// ebtables knows no sets of links, addresses and MACs, and no goto; its wildcard is iptables'.
class PortTree {
 public:
  void add(const std::string& digits, std::span<const Member> members) {
    const std::string chain = chain_of(digits);
    std::string rules;
    while (!members.empty()) {
      const std::string& first = members.front().first;
      const auto below = digits.size() + 1;
      const auto end = std::find_if(members.begin(), members.end(), [&](const Member& member) {
        return member.first.compare(0, below, first, 0, below) != 0;
      });
      const auto branch = members.first(static_cast<std::size_t>(end - members.begin()));
      members = members.subspan(branch.size());
      if (branch.size() == 1) {
        rules += rules_of(chain, first, *branch.front().second);
        continue;
      }
      const std::string child = first.substr(0, below);
      rules += fmt::format("-A {} -i png{}+ -j {}\n", chain, child, chain_of(child));
      add(child, branch);
    }
    chains_[chain] = rules;
  }

  [[nodiscard]] std::string text() const {
    std::string declared, rules;
    for (const auto& [chain, content] : chains_) {
      declared += fmt::format(":{} RETURN\n", chain);
      rules += content;
    }
    return declared + rules;
  }

 private:
  static std::string chain_of(const std::string& digits) {
    return digits.empty() ? "PANAL-PORT" : "PANAL-PORT-" + digits;
  }

  static std::string rules_of(const std::string& chain, const std::string& digits,
                              const Addresses& own) {
    const std::string in = "-i png" + digits;
    const std::string mac = to_string(own.mac);
    const std::string arp =
        fmt::format("-p ARP -s {} {} --arp-op Request --arp-ip-src {} --arp-mac-src {}", mac, in,
                    to_string(own.ipv4), mac);
    std::string rules = fmt::format("-A {} {} {} -j ACCEPT\n", chain, arp, kManyLimit);
    const auto add = [&](const char* to, const std::string& limit) {
      rules += fmt::format("-A {} -p IPv4 -s {} {}{} --ip-src {}{} -j ACCEPT\n", chain, mac, to, in,
                           to_string(own.ipv4), limit);
      rules += fmt::format("-A {} -p IPv6 -s {} {}{} --ip6-src {}{} -j ACCEPT\n", chain, mac, to,
                           in, to_string(own.ipv6), limit);
    };
    add("-d Multicast ", std::string(" ") + kManyLimit);
    rules += fmt::format("-A {} -d Multicast {} -j DROP\n", chain, in);
    add("", "");
    return rules;
  }

  std::map<std::string, std::string> chains_;
};

}  // namespace

std::string bridge_rules_text(const Senders& members) {
  std::vector<Member> sorted;
  for (const auto& [id, sender] : members)
    sorted.emplace_back(std::to_string(id), &sender.addresses);
  std::sort(sorted.begin(), sorted.end());
  PortTree tree;
  tree.add("", sorted);
  std::string text = "*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT DROP\n" + tree.text();
  for (const char* trunk : {"pnt+", "pnu+"})
    text += fmt::format("-A FORWARD -i {} -j ACCEPT\n", trunk);
  // Router and neighbour discovery, redirects (RFC 4861).
  text += "-A FORWARD -p IPv6 --ip6-proto ipv6-icmp --ip6-icmp-type 133:137/0:255 -j DROP\n";
  text += "-A FORWARD -i png+ -j PANAL-PORT\n";
  return text;
}

}  // namespace panal::netconfine
