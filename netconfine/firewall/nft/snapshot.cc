#include "netconfine/firewall/nft/snapshot.h"

#include <arpa/inet.h>
#include <endian.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>

#include "netconfine/firewall/nft/ruleset.h"

namespace panal::netconfine {
namespace {

struct Family {
  std::uint32_t number;
  const char* name;
};
constexpr std::array<Family, 6> kFamilies = {{{NFPROTO_INET, "inet"},
                                              {NFPROTO_IPV4, "ip"},
                                              {NFPROTO_ARP, "arp"},
                                              {NFPROTO_NETDEV, "netdev"},
                                              {NFPROTO_BRIDGE, "bridge"},
                                              {NFPROTO_IPV6, "ip6"}}};

std::string family_name(std::uint32_t number) {
  for (const Family& family : kFamilies) {
    if (family.number == number) return family.name;
  }
  return std::to_string(number);
}

using Attributes = std::map<int, const nlattr*>;

Result<Attributes> attributes_of(const nlmsghdr* message) {
  Attributes found;
  if (message->nlmsg_len < NLMSG_HDRLEN + sizeof(nfgenmsg)) {
    return fail(EPROTO, "nftables: a message without its family");
  }
  const auto take = [](const nlattr* attribute, void* to) -> int {
    (*static_cast<Attributes*>(to))[mnl_attr_get_type(attribute)] = attribute;
    return MNL_CB_OK;
  };
  mnl_attr_parse(message, sizeof(nfgenmsg), take, &found);
  return found;
}

// A NUL-terminated text; its end may lie about it.
Result<std::string> text_of(const Attributes& attributes, int type) {
  const auto found = attributes.find(type);
  if (found == attributes.end()) return fail(EPROTO, "nftables: something without its name");
  const auto* first = static_cast<const char*>(mnl_attr_get_payload(found->second));
  return std::string(first, strnlen(first, mnl_attr_get_payload_len(found->second)));
}

std::uint32_t number_of(const Attributes& attributes, int type) {
  const auto found = attributes.find(type);
  if (found == attributes.end() || mnl_attr_get_payload_len(found->second) < 4) return 0;
  return ntohl(mnl_attr_get_u32(found->second));
}

// The bytes of some attributes, one after the other.
std::string bytes_of(const Attributes& attributes, std::initializer_list<int> types) {
  std::string bytes;
  for (const int type : types) {
    const auto found = attributes.find(type);
    if (found == attributes.end()) continue;
    bytes += fmt::format("{}:", type);
    bytes.append(static_cast<const char*>(mnl_attr_get_payload(found->second)),
                 mnl_attr_get_payload_len(found->second));
  }
  return bytes;
}

// "pnl7" for the sets keyed by link, the key in hex for others.
std::string describe(const NftElement& element) {
  if (element.key.size() >= kFieldLink.bytes && element.last.empty()) {
    const std::string link = link_of_key(element.key);
    if (!link.empty() && element.data.size() == sizeof(std::uint32_t)) {
      std::uint32_t number = 0;
      std::memcpy(&number, element.data.data(), sizeof(number));
      return fmt::format("{} : {}", link, number);
    }
    if (!link.empty()) return link;
  }
  return fmt::format("{:02x}", fmt::join(element.key, ""));
}

std::string describe_hook(const std::string& type, std::uint32_t hook, std::int32_t priority,
                          std::uint32_t policy, const std::string& device = {}) {
  return fmt::format("type {} hook {}{} priority {} policy {}", type, hook, device, priority,
                     policy == NF_DROP ? "drop" : "accept");
}

// Of a chain; empty for one without a hook.
Result<std::string> hook_of(const Attributes& chain) {
  const auto hook = chain.find(NFTA_CHAIN_HOOK);
  if (hook == chain.end()) return std::string();
  Attributes parts;
  const auto take = [](const nlattr* attribute, void* to) -> int {
    (*static_cast<Attributes*>(to))[mnl_attr_get_type(attribute)] = attribute;
    return MNL_CB_OK;
  };
  mnl_attr_parse_nested(hook->second, take, &parts);
  PANAL_ASSIGN(const auto type, text_of(chain, NFTA_CHAIN_TYPE));
  return describe_hook(type, number_of(parts, NFTA_HOOK_HOOKNUM),
                       static_cast<std::int32_t>(number_of(parts, NFTA_HOOK_PRIORITY)),
                       number_of(chain, NFTA_CHAIN_POLICY),
                       bytes_of(parts, {NFTA_HOOK_DEV, NFTA_HOOK_DEVS}));
}

NftSetShape shape_in(const Attributes& set) {
  NftSetShape shape{.flags = number_of(set, NFTA_SET_FLAGS),
                    .key_type = number_of(set, NFTA_SET_KEY_TYPE),
                    .key_bytes = number_of(set, NFTA_SET_KEY_LEN),
                    .data_type = number_of(set, NFTA_SET_DATA_TYPE),
                    .data_bytes = number_of(set, NFTA_SET_DATA_LEN)};
  // How long a verdict is, is the kernel's own affair.
  if (shape.data_type == NFT_DATA_VERDICT) shape.data_bytes = 0;
  const auto timeout = set.find(NFTA_SET_TIMEOUT);
  if (timeout != set.end() && mnl_attr_get_payload_len(timeout->second) == 8) {
    shape.timeout_ms = be64toh(mnl_attr_get_u64(timeout->second));
  }
  return shape;
}

// Collects differences up to a limit.
class Report {
 public:
  explicit Report(std::size_t limit) : limit_(limit) {}
  void add(std::string where, std::string what) {
    if (drifts_.size() < limit_) {
      drifts_.push_back({std::move(where), std::move(what)});
    } else {
      ++more_;
    }
  }
  std::vector<Drift> finish() {
    if (more_ != 0) drifts_.push_back({"and", fmt::format("{} places more", more_)});
    return std::move(drifts_);
  }

 private:
  std::size_t limit_;
  std::size_t more_ = 0;
  std::vector<Drift> drifts_;
};

bool is_ours(const std::string& where) {
  // "chain inet panal forward": the third word.
  const auto first = where.find(' ');
  const auto second = where.find(' ', first + 1);
  const auto end = where.find(' ', second + 1);
  if (first == std::string::npos || second == std::string::npos) return false;
  return where.substr(second + 1, end == std::string::npos ? end : end - second - 1) == kNftTable;
}

void compare_rules(Report& report, const std::string& chain, const std::vector<std::string>& meant,
                   const std::vector<std::string>& found) {
  if (meant == found) return;
  const auto count = [](const std::vector<std::string>& rules, const std::string& rule) {
    return std::count(rules.begin(), rules.end(), rule);
  };
  const auto excess = [&](const std::vector<std::string>& of,
                          const std::vector<std::string>& over) {
    return std::any_of(of.begin(), of.end(), [&](const std::string& rule) {
      return count(of, rule) > count(over, rule);
    });
  };
  if (found.empty()) return report.add(chain, "has lost all its rules");
  const bool lacks = excess(meant, found), has = excess(found, meant);
  if (lacks) report.add(chain, "misses a rule");
  if (has) report.add(chain, "has a rule that is not ours");
  if (!lacks && !has) report.add(chain, "has its rules in another order");
}

}  // namespace

std::string nft_name(const char* kind, std::uint32_t family, const std::string& table,
                     const std::string& name) {
  std::string text = fmt::format("{} {} {}", kind, family_name(family), table);
  return name.empty() ? text : text + " " + name;
}

std::string describe_table(std::uint32_t flags) { return fmt::format("flags {}", flags); }

std::string describe_hook(const NftBaseChain& chain) {
  return describe_hook(chain.type, chain.hook, chain.priority, chain.drops ? NF_DROP : NF_ACCEPT);
}

std::string describe_set(const NftSetShape& shape) {
  return fmt::format("flags {} key {}:{} data {}:{} timeout {}", shape.flags, shape.key_type,
                     shape.key_bytes, shape.data_type, shape.data_bytes, shape.timeout_ms);
}

Result<void> add_to_snapshot(const nlmsghdr* message, NftSnapshot& snapshot) {
  const int type = message->nlmsg_type;
  if (type >> 8 != NFNL_SUBSYS_NFTABLES) return {};
  PANAL_ASSIGN(const auto attributes, attributes_of(message));
  const std::uint32_t family =
      static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message))->nfgen_family;
  switch (type & 0xff) {
    case NFT_MSG_NEWTABLE: {
      PANAL_ASSIGN(const auto name, text_of(attributes, NFTA_TABLE_NAME));
      snapshot.objects[nft_name("table", family, name)] =
          describe_table(number_of(attributes, NFTA_TABLE_FLAGS));
      return {};
    }
    case NFT_MSG_NEWCHAIN: {
      PANAL_ASSIGN(const auto table, text_of(attributes, NFTA_CHAIN_TABLE));
      PANAL_ASSIGN(const auto name, text_of(attributes, NFTA_CHAIN_NAME));
      PANAL_ASSIGN(snapshot.objects[nft_name("chain", family, table, name)], hook_of(attributes));
      return {};
    }
    case NFT_MSG_NEWRULE: {
      PANAL_ASSIGN(const auto table, text_of(attributes, NFTA_RULE_TABLE));
      PANAL_ASSIGN(const auto name, text_of(attributes, NFTA_RULE_CHAIN));
      snapshot.rules[nft_name("chain", family, table, name)].push_back(
          bytes_of(attributes, {NFTA_RULE_EXPRESSIONS, NFTA_RULE_COMPAT}));
      return {};
    }
    case NFT_MSG_NEWSET: {
      PANAL_ASSIGN(const auto table, text_of(attributes, NFTA_SET_TABLE));
      PANAL_ASSIGN(const auto name, text_of(attributes, NFTA_SET_NAME));
      snapshot.objects[nft_name("set", family, table, name)] = describe_set(shape_in(attributes));
      const bool has_sets = family == NFPROTO_INET || family == NFPROTO_BRIDGE;
      if (has_sets && table == kNftTable &&
          (number_of(attributes, NFTA_SET_FLAGS) & NFT_SET_EVAL) == 0) {
        snapshot.elements.try_emplace(NftSetId{family, name});
      }
      return {};
    }
    case NFT_MSG_NEWOBJ: {
      PANAL_ASSIGN(const auto table, text_of(attributes, NFTA_OBJ_TABLE));
      PANAL_ASSIGN(const auto name, text_of(attributes, NFTA_OBJ_NAME));
      snapshot.objects[nft_name("object", family, table, name)] =
          bytes_of(attributes, {NFTA_OBJ_TYPE});
      return {};
    }
    default: return {};
  }
}

std::vector<NftSetId> static_sets(const NftSnapshot& snapshot) {
  std::vector<NftSetId> sets;
  for (const auto& [set, elements] : snapshot.elements) sets.push_back(set);
  return sets;
}

std::vector<std::pair<std::uint32_t, std::string>> foreign_tables(const NftSnapshot& snapshot) {
  std::vector<std::pair<std::uint32_t, std::string>> tables;
  for (const auto& [where, flags] : snapshot.objects) {
    for (const Family& family : kFamilies) {
      const std::string start = std::string("table ") + family.name + " ";
      if (!where.starts_with(start)) continue;
      std::string name = where.substr(start.size());
      if (name != kNftTable) tables.emplace_back(family.number, std::move(name));
    }
  }
  return tables;
}

std::vector<Drift> differences(const NftSnapshot& meant, const NftSnapshot& found, bool others,
                               std::size_t limit) {
  Report report(limit);
  for (const auto& [where, bytes] : meant.objects) {
    if (!is_ours(where)) continue;
    const auto there = found.objects.find(where);
    if (there == found.objects.end()) {
      report.add(where, "is missing");
    } else if (there->second != bytes) {
      const bool words = !where.starts_with("object ");
      report.add(where, words ? fmt::format("is now \"{}\", not \"{}\"", there->second, bytes)
                              : "is another than it was made as");
    }
  }
  for (const auto& [where, bytes] : found.objects) {
    if (meant.objects.contains(where)) continue;
    // Of a strange table it is enough to say that it is there.
    if (is_ours(where) || (others && where.starts_with("table "))) {
      report.add(where, "is not ours");
    }
  }
  static const std::vector<std::string> kNoRules;
  const auto rules_of = [](const NftSnapshot& snapshot, const std::string& chain) -> const auto& {
    const auto rules = snapshot.rules.find(chain);
    return rules != snapshot.rules.end() ? rules->second : kNoRules;
  };
  for (const auto& [chain, rules] : meant.rules) {
    if (is_ours(chain) && found.objects.contains(chain)) {
      compare_rules(report, chain, rules, rules_of(found, chain));
    }
  }
  for (const auto& [chain, rules] : found.rules) {
    if (is_ours(chain) && !meant.rules.contains(chain) && meant.objects.contains(chain)) {
      report.add(chain, "has a rule that is not ours");
    }
  }
  for (const auto& [set, elements] : meant.elements) {
    const auto there = found.elements.find(set);
    if (there == found.elements.end()) continue;  // said above
    const std::string where = nft_name("set", set.family, kNftTable, set.name);
    for (const NftElement& element : elements) {
      if (!there->second.contains(element)) report.add(where, "misses " + describe(element));
    }
    for (const NftElement& element : there->second) {
      if (!elements.contains(element)) {
        report.add(where, "has " + describe(element) + ", which is not ours");
      }
    }
  }
  return report.finish();
}

}  // namespace panal::netconfine
