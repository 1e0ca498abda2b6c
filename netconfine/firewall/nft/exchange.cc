#include "netconfine/firewall/nft/exchange.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "netconfine/firewall/nft/script.h"

namespace panal::netconfine {
namespace {

constexpr std::uint32_t kInet = NFPROTO_INET;
constexpr std::uint32_t kArp = NFPROTO_ARP;

// Names in a snapshot below "KIND FAMILY panal ".
std::set<std::string> names_of(const NftSnapshot& snapshot, const char* kind,
                               std::uint32_t family) {
  const std::string start = nft_name(kind, family, kNftTable) + " ";
  std::set<std::string> names;
  for (const auto& [where, bytes] : snapshot.objects) {
    if (where.starts_with(start)) names.insert(where.substr(start.size()));
  }
  return names;
}

bool has_base_chain(const NftPlan& plan, std::uint32_t family, const std::string& name) {
  return std::any_of(plan.base_chains.begin(), plan.base_chains.end(), [&](const auto& chain) {
    return chain.first == family && chain.second.name == name;
  });
}

std::set<NftElement> elements_in(const NftPlan& plan, const std::string& set) {
  const auto found = plan.elements.find(set);
  if (found == plan.elements.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::vector<NftElement> without(const std::set<NftElement>& all,
                                const std::set<NftElement>& others) {
  std::vector<NftElement> left;
  std::set_difference(all.begin(), all.end(), others.begin(), others.end(),
                      std::back_inserter(left));
  return left;
}

// A set that stays. One of ranges is no map, and is changed as a whole.
bool stays(const NftSnapshot& found, const NftPlan& plan, const NftSet& set) {
  const auto there = found.objects.find(nft_name("set", kInet, kNftTable, set.name));
  if (there == found.objects.end() || there->second != describe_set(shape_of(set))) return false;
  if (set.dynamic) return true;
  const auto elements = found.elements.find(set.name);
  if (elements == found.elements.end()) return false;
  return !set.ranges || elements->second == elements_in(plan, set.name);
}

}  // namespace

bool same_hooks(const NftSnapshot& found, const NftPlan& plan) {
  for (const std::uint32_t family : {kInet, kArp}) {
    const auto table = found.objects.find(nft_name("table", family, kNftTable));
    if (table == found.objects.end() || table->second != describe_table(0)) return false;
    for (const auto& name : names_of(found, "chain", family)) {
      const auto& hooks = found.objects.at(nft_name("chain", family, kNftTable, name));
      if (!hooks.empty() && !has_base_chain(plan, family, name)) return false;
    }
  }
  return std::all_of(plan.base_chains.begin(), plan.base_chains.end(), [&](const auto& chain) {
    const auto there =
        found.objects.find(nft_name("chain", chain.first, kNftTable, chain.second.name));
    return there != found.objects.end() && there->second == describe_hook(chain.second);
  });
}

Result<std::vector<Message>> exchange(const NftSnapshot& found, const NftPlan& plan) {
  std::set<std::string> staying;
  for (const NftSet& set : plan.sets) {
    if (stays(found, plan, set)) staying.insert(set.name);
  }
  const std::set<std::string> old_chains = names_of(found, "chain", kInet);
  const std::set<std::string> new_chains(plan.chains.begin(), plan.chains.end());

  // Nothing may be referred to when it is deleted: rules first, then elements, then chains.
  NftScript script;
  script.add(delete_rules(kInet)).add(delete_rules(kArp));
  for (const std::uint32_t family : {kInet, kArp}) {
    for (const auto& name : names_of(found, "set", family)) {
      if (family == kArp || !staying.contains(name)) script.add(delete_set(family, name));
    }
    for (const auto& name : names_of(found, "object", family)) {
      script.add(delete_counter(family, name));
    }
  }
  PANAL_ASSIGN(auto messages, script.finish());
  for (const auto& set : staying) {
    const auto there = found.elements.find(set);
    if (there == found.elements.end()) continue;  // dynamic
    PANAL_TRY(append_elements(messages, NFT_MSG_DELSETELEM, kInet, set,
                              without(there->second, elements_in(plan, set))));
  }
  NftScript rest;
  for (const auto& name : old_chains) {
    if (!new_chains.contains(name) && !has_base_chain(plan, kInet, name)) {
      rest.add(delete_chain(kInet, name));
    }
  }
  for (const auto& name : names_of(found, "chain", kArp)) {
    if (!has_base_chain(plan, kArp, name)) rest.add(delete_chain(kArp, name));
  }
  for (const auto& [family, name] : plan.counters) rest.add(add_counter(family, name));
  std::uint32_t id = 0;
  for (const NftSet& set : plan.sets) {
    ++id;
    if (!staying.contains(set.name)) rest.add(add_set(kInet, set, id));
  }
  for (const auto& name : plan.chains) {
    if (!old_chains.contains(name)) rest.add(add_chain(kInet, name));
  }
  PANAL_ASSIGN(auto more, rest.finish());
  std::move(more.begin(), more.end(), std::back_inserter(messages));
  messages.insert(messages.end(), plan.rules.begin(), plan.rules.end());
  for (const NftSet& set : plan.sets) {
    const auto asked = elements_in(plan, set.name);
    const auto there = found.elements.find(set.name);
    const bool known = staying.contains(set.name) && there != found.elements.end();
    PANAL_TRY(append_elements(messages, NFT_MSG_NEWSETELEM, kInet, set.name,
                              without(asked, known ? there->second : std::set<NftElement>{})));
  }
  return messages;
}

}  // namespace panal::netconfine
