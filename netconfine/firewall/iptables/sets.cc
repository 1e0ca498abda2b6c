#include "netconfine/firewall/iptables/sets.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/log.h"

namespace panal::netconfine {
namespace {

constexpr std::uint32_t kMostMembers = 131072;
constexpr std::size_t kMostShownBytes = 200;

const char* digit(IpFamily family) { return family == IpFamily::kIpv4 ? "4" : "6"; }

std::string member(IpFamily family, const Sender& sender) {
  const Addresses& own = sender.addresses;
  return (family == IpFamily::kIpv4 ? to_string(own.ipv4) : to_string(own.ipv6)) + "," + own.link;
}

/// The last four bytes as a number.
template <typename Bytes>
std::uint32_t low(const Bytes& bytes) {
  std::uint32_t number = 0;
  for (auto at = bytes.end() - 4; at != bytes.end(); ++at) number = number << 8 | *at;
  return number;
}

std::uint32_t distance(IpFamily family, const Addresses& own) {
  return (family == IpFamily::kIpv4 ? low(own.ipv4) : low(own.ipv6)) - low(own.mac);
}

std::uint32_t high(const Mac& mac) { return static_cast<std::uint32_t>(mac[0] << 8 | mac[1]); }

// "add NAME 10.77.0.7,pnl7": the words behind the first.
std::string_view take_word(std::string_view& line) {
  const auto end = line.find(' ');
  const auto word = line.substr(0, end);
  line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  return word;
}

}  // namespace

std::string senders_set(IpFamily family, const SetWords& words) {
  return fmt::format("{}{}{}", kSetPrefix, digit(family), words.generation);
}

std::string policy_set(IpFamily family, const SetWords& words, std::uint32_t policy) {
  return fmt::format("{}-{}", senders_set(family, words), policy);
}

std::optional<std::string> mac_match(IpFamily family, const Senders& senders) {
  const Addresses& first = senders.begin()->second.addresses;
  const auto offset = distance(family, first);
  for (const auto& [id, sender] : senders) {
    const Addresses& own = sender.addresses;
    if (distance(family, own) != offset || high(own.mac) != high(first.mac)) return std::nullopt;
  }
  // Instructions as {code, true, false, value}; offsets are from the network header, those at
  // 0xffe00000 (SKF_LL_OFF) from the link's, where the source's MAC is at 6.
  constexpr std::uint32_t kLink = 0xffe00000;
  const std::uint32_t source = family == IpFamily::kIpv4 ? 12 : 20;  // IPv6: its last 4 bytes
  return fmt::format(
      "-m bpf --bytecode \"9,"
      "40 0 0 {},"  // load the MAC's first two bytes
      "21 0 6 {},"  // other ones: no
      "32 0 0 {},"  // load the address (its last four bytes)
      "20 0 0 {},"  // less the distance
      "7 0 0 0,"    // keep it
      "32 0 0 {},"  // load the MAC's last four bytes
      "29 0 1 0,"   // not the same: no
      "6 0 0 1,"    // yes
      "6 0 0 0\"",  // no
      kLink + 6, high(first.mac), source, offset, kLink + 8);
}

IpSets sets_for(IpFamily family, const SetWords& words, const Ruleset& rules,
                const Senders& senders) {
  IpSets sets;
  auto& all = sets[senders_set(family, words)];
  for (const auto& policy : rules.policies) sets[policy_set(family, words, policy.id)];
  for (const auto& [id, sender] : senders) {
    all.insert(member(family, sender));
    if (sender.policy != 0)
      sets[policy_set(family, words, sender.policy)].insert(member(family, sender));
  }
  return sets;
}

std::string changing_sets_text(IpFamily family, const IpSets& before, const IpSets& now) {
  static const std::set<std::string> kNone;
  std::string created, taken, added;
  for (const auto& [name, members] : now) {
    const auto was = before.find(name);
    if (was == before.end())
      created += fmt::format("create {} hash:net,iface family {} maxelem {}\n", name,
                             family == IpFamily::kIpv4 ? "inet" : "inet6", kMostMembers);
    const auto& old = was == before.end() ? kNone : was->second;
    for (const auto& one : old)
      if (!members.contains(one)) taken += fmt::format("del {} {}\n", name, one);
    for (const auto& one : members)
      if (!old.contains(one)) added += fmt::format("add {} {}\n", name, one);
  }
  return created + taken + added;
}

Result<IpSets> parse_saved_sets(std::string_view text) {
  IpSets sets;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const std::string_view whole = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    std::string_view line = whole;
    const auto verb = take_word(line);
    const std::string name(take_word(line));
    const bool good = !name.empty() && !line.empty() && (verb == "create" || verb == "add");
    if (!good || (verb == "add" && name.starts_with(kSetPrefix) && !sets.contains(name)))
      return fail(EPROTO, fmt::format("line {} of what ipset says: \"{}\"", number,
                                      printable(whole, kMostShownBytes)));
    if (!name.starts_with(kSetPrefix)) continue;
    if (verb == "create") {
      sets[name];
    } else {
      sets[name].emplace(take_word(line));
    }
  }
  return sets;
}

std::vector<Drift> compare_sets(const IpSets& meant, const IpSets& found) {
  std::vector<Drift> drifts;
  for (const auto& [name, members] : meant) {
    const auto at = found.find(name);
    if (at == found.end()) {
      drifts.push_back({"set " + name, "is missing"});
      continue;
    }
    for (const auto& one : members)
      if (!at->second.contains(one)) drifts.push_back({"set " + name, "misses " + one});
    for (const auto& one : at->second)
      if (!members.contains(one))
        drifts.push_back(
            {"set " + name, "has a member that is not ours: " + printable(one, kMostShownBytes)});
  }
  return drifts;
}

}  // namespace panal::netconfine
