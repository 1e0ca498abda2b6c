#include "netconfine/firewall/iptables/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "netconfine/firewall/iptables/link_tree.h"
#include "netconfine/firewall/iptables/policy_chains.h"

namespace panal::netconfine {
namespace {

constexpr const char* kFromChain = "PANAL-FROM";
constexpr const char* kToChain = "PANAL-TO";

/// A header longer than 20 bytes.
const std::string kOptions4 = "-m u32 --u32 \"0x0>>0x18&0xf=0x6:0xf\" ";
/// The first next header is one of IANA's extension headers, less ESP.
const std::string kExtensionHeader6 =
    "-m u32 --u32 \"0x4>>0x8&0xff=0x0,0x2b:0x2c,0x33,0x3c,0x87,0x8b:0x8c,0xfd:0xfe\" ";

bool is_word(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

// A link's name may have dots (VLANs), and no "+" at the end, which is iptables' wildcard.
bool is_link_word(std::string text) {
  std::replace(text.begin(), text.end(), '.', '_');
  return is_word(text, 15);
}

using Policies = std::map<std::uint32_t, const CompiledPolicy*>;  ///< by id

class Builder {
 public:
  Builder(IpFamily family, const Ruleset& rules, const Senders& senders, const SetWords* sets)
      : family_(family),
        v6_(family == IpFamily::kIpv6),
        rules_(rules),
        senders_(senders),
        sets_(sets) {}

  RuleTables tables() {
    RuleTables tables;
    raw(tables["raw"]);
    filter(tables["filter"]);
    if (!rules_.uplink.empty() && rules_.masquerade) nat(tables["nat"]);
    return tables;
  }

 private:
  [[nodiscard]] std::string address_of(const Sender& sender) const {
    return v6_ ? to_string(sender.addresses.ipv6) + "/128"
               : to_string(sender.addresses.ipv4) + "/32";
  }
  [[nodiscard]] const char* icmp() const { return v6_ ? "ipv6-icmp" : "icmp"; }
  [[nodiscard]] std::string icmp6_type(int type) const {
    return fmt::format("-p ipv6-icmp -m icmp6 --icmpv6-type {}", type);
  }

  /// Neighbour solicitations and advertisements between the uplink and its router.
  [[nodiscard]] std::vector<std::string> uplink_neighbours(const char* flag) const {
    std::vector<std::string> rules;
    for (const int type : {135, 136})
      rules.push_back(fmt::format("{} {} {} -j ACCEPT", flag, rules_.uplink, icmp6_type(type)));
    return rules;
  }
  static void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
    to.insert(to.end(), more.begin(), more.end());
  }

  void raw(RuleTable& table) {
    std::vector<std::string> in = {"-i lo -j ACCEPT"};
    // Options ask routers on the way for something, which is nobody's need; and headers between
    // IPv6's and the transport's would have rules look at the wrong one.
    in.push_back((v6_ ? kExtensionHeader6 : kOptions4) + drop_because("header_options"));
    // Fragments never get here: see fragments.h.
    if (!rules_.uplink.empty()) {
      // The router speaks by an address to which no route leads.
      if (v6_) append(in, uplink_neighbours("-i"));
      in.push_back(fmt::format("-i {} -m rpfilter --invert {}", rules_.uplink,
                               drop_because("spoofed_outside")));
      in.push_back(fmt::format("-i {} -j ACCEPT", rules_.uplink));
    }
    if (v6_) {
      in.emplace_back("-p ipv6-icmp -j PANAL-ND");
      RuleChain& neighbours = table["PANAL-ND"];
      for (int type = 133; type <= 137; ++type)
        neighbours.rules.push_back(icmp6_type(type) + " " + drop_because("neighbour_discovery"));
    }
    in.push_back(fmt::format("-i pnl+ -j {}", kSenderChain));
    if (v6_) in.push_back("-s fe80::/10 " + drop_because("link_local"));
    in.push_back(drop_because(v6_ ? "spoofed_ipv6" : "spoofed_ipv4"));
    table["PREROUTING"] = {"DROP", std::move(in)};
    table["OUTPUT"] = {"ACCEPT", {}};

    if (sets_ == nullptr) {
      sender_tree(table);
    } else if (!senders_.empty()) {
      table[kSenderChain].rules = {fmt::format("-m set --match-set {} src,src {} -j ACCEPT",
                                               senders_set(family_, *sets_), sets_->mac_match)};
    } else {
      table[kSenderChain];
    }
  }

  void sender_tree(RuleTable& table) {
    std::vector<LinkRule> leaves;
    for (const auto& [id, sender] : senders_)
      leaves.push_back(
          {id, fmt::format("-s {} -i {} -m mac --mac-source {} -j ACCEPT", address_of(sender),
                           sender.addresses.link, to_string(sender.addresses.mac))});
    add_link_tree(table, kSenderChain, LinkSide::kIn, leaves);
  }

  void filter(RuleTable& table) {
    table["INPUT"] = {"DROP", local("-i", "to_host")};
    table["OUTPUT"] = {"DROP", local("-o", "from_host")};
    const PolicyWords words{v6_, rules_.uplink};
    std::vector<std::string> forward = {"-m conntrack --ctstate ESTABLISHED -j ACCEPT"};
    // Only from outside: whoever has sent it, an error is related to the connection that it is
    // about, and a desktop would end others' by errors that it makes up.
    if (!rules_.uplink.empty())
      forward.push_back(fmt::format("-i {} -p {} -m conntrack --ctstate RELATED -j ACCEPT",
                                    rules_.uplink, icmp()));
    forward.push_back("-m conntrack ! --ctstate NEW " + drop_because("invalid"));
    forward.push_back(fmt::format("-i pnl+ -j {}", kFromChain));
    if (!rules_.uplink.empty())
      forward.push_back(fmt::format("-i {} -o pnl+ -j {}", rules_.uplink, kToChain));
    forward.push_back("-o pnl+ " + drop_because("to_desktop"));
    forward.push_back(drop_because("to_outside"));
    table["FORWARD"] = {"DROP", std::move(forward)};

    Policies policies;
    for (const auto& policy : rules_.policies) {
      policies[policy.id] = &policy;
      add_sending_chains(table, words, policy);
      if (!rules_.uplink.empty()) add_reached_chains(table, words, policy);
    }
    if (sets_ == nullptr) {
      by_link(table, policies);
    } else {
      by_set(table, policies);
    }
  }

  /// Who has which policy, and who is in whose group: a set for each policy.
  void by_set(RuleTable& table, const Policies& policies) {
    const auto rule = [&](std::uint32_t policy, const char* ends, const std::string& chain) {
      return fmt::format("-m set --match-set {} {} -g {}", policy_set(family_, *sets_, policy),
                         ends, chain);
    };
    std::vector<std::string> from, to;
    for (const auto& [id, policy] : policies) {
      from.push_back(rule(id, "src,src", sending_chain(id)));
      to.push_back(rule(id, "dst,dst", reached_chain(id)));
      if (policy->group == 0) continue;
      auto& mates = table[mates_chain(id)].rules;
      for (const auto& [other, with] : policies)
        if (with->group == policy->group)
          mates.push_back(rule(other, "dst,dst", opening_chain(id)));
    }
    table[kFromChain].rules = std::move(from);
    if (!rules_.uplink.empty()) table[kToChain].rules = std::move(to);
  }

  /// The same by links, in trees.
  void by_link(RuleTable& table, const Policies& policies) {
    std::vector<LinkRule> from, to;
    std::map<std::uint32_t, std::vector<LinkRule>> mates;  // by the sender's policy
    for (const auto& [id, sender] : senders_) {
      const auto found = policies.find(sender.policy);
      if (found == policies.end()) continue;  // nothing is allowed
      const CompiledPolicy& policy = *found->second;
      const std::string address = address_of(sender);
      const std::string& link = sender.addresses.link;
      from.push_back(
          {id, fmt::format("-s {} -i {} -g {}", address, link, sending_chain(policy.id))});
      to.push_back({id, fmt::format("-d {} -o {} -g {}", address, link, reached_chain(policy.id))});
      for (const auto& [other, with] : policies)
        if (policy.group != 0 && with->group == policy.group)
          mates[other].push_back(
              {id, fmt::format("-d {} -o {} -g {}", address, link, opening_chain(other))});
    }
    add_link_tree(table, kFromChain, LinkSide::kIn, from);
    if (!rules_.uplink.empty()) add_link_tree(table, kToChain, LinkSide::kOut, to);
    for (const auto& [id, policy] : policies)
      if (policy->group != 0) add_link_tree(table, mates_chain(id), LinkSide::kOut, mates[id]);
  }

  /// Panal's namespace itself: nothing but what keeps the uplink going.
  [[nodiscard]] std::vector<std::string> local(const char* flag, const char* reason) const {
    std::vector<std::string> rules = {fmt::format("{} lo -j ACCEPT", flag)};
    if (v6_ && !rules_.uplink.empty()) append(rules, uplink_neighbours(flag));
    // "Too big": without it a way with a smaller MTU swallows a desktop's long packets.
    if (std::string_view(flag) == "-o") {
      rules.push_back((v6_ ? icmp6_type(2) : std::string("-p icmp -m icmp --icmp-type 3/4")) +
                      " -m conntrack --ctstate RELATED -j ACCEPT");
    }
    rules.push_back(drop_because(reason));
    return rules;
  }

  void nat(RuleTable& table) const {
    for (const char* chain : {"PREROUTING", "INPUT", "OUTPUT"}) table[chain] = {"ACCEPT", {}};
    table["POSTROUTING"] = {"ACCEPT", {fmt::format("-o {} -j MASQUERADE", rules_.uplink)}};
  }

  const IpFamily family_;
  const bool v6_;
  const Ruleset& rules_;
  const Senders& senders_;
  const SetWords* const sets_;
};

}  // namespace

Result<void> check_words(const Ruleset& rules) {
  if (!rules.uplink.empty() && (!is_link_word(rules.uplink) || rules.uplink.starts_with("pnl")))
    return fail(EINVAL,
                "uplink \"" + rules.uplink +
                    "\": want the name of a link (at most 15 letters) that is no desktop's");
  std::set<std::uint32_t> ids;
  for (const auto& policy : rules.policies) {
    if (!is_word(policy.name, 32))
      return fail(EINVAL, "policy \"" + policy.name + "\": a name is letters, digits, - and _");
    if (policy.id < 1 || policy.id > 65535 || policy.group > 65535)
      return fail(EINVAL, "policy \"" + policy.name + "\": ids and groups are 1 to 65,535");
    if (!ids.insert(policy.id).second)
      return fail(EINVAL, fmt::format("policy \"{}\": id {} is another's", policy.name, policy.id));
    for (const auto* lines : {&policy.reach, &policy.reached_by})
      for (const auto& line : *lines)
        if (!is_word(line.service, 32))
          return fail(EINVAL, "policy \"" + policy.name + "\", service \"" + line.service +
                                  "\": a name is letters, digits, - and _");
  }
  return {};
}

Result<DesktopId> check_sender(const Ruleset& rules, const Sender& sender) {
  const std::string& link = sender.addresses.link;
  const DesktopId id = id_of_link(link);
  if (id == 0 || link.size() > 15)
    return fail(EINVAL, "link \"" + link + "\": a desktop's is called pnl<id>");
  const bool known =
      std::any_of(rules.policies.begin(), rules.policies.end(),
                  [&](const CompiledPolicy& policy) { return policy.id == sender.policy; });
  if (sender.policy != 0 && !known)
    return fail(EINVAL,
                fmt::format("{}: policy number {} is not among the rules", link, sender.policy));
  return id;
}

RuleTables rule_tables(IpFamily family, const Ruleset& rules, const Senders& senders,
                       const SetWords* sets) {
  return Builder(family, rules, senders, sets).tables();
}

}  // namespace panal::netconfine
