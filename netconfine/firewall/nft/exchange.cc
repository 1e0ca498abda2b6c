#include "netconfine/firewall/nft/exchange.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace panal::netconfine {
namespace {

constexpr std::uint32_t kInet = NFPROTO_INET;
constexpr std::uint32_t kArp = NFPROTO_ARP;
constexpr std::uint32_t kBridge = NFPROTO_BRIDGE;

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

bool has_chain(const NftPlan& plan, std::uint32_t family, const std::string& name) {
  return std::find(plan.chains.begin(), plan.chains.end(), std::pair(family, name)) !=
         plan.chains.end();
}

std::set<NftElement> elements_in(const NftPlan& plan, const NftSetId& set) {
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
  const auto there = found.objects.find(nft_name("set", set.family, kNftTable, set.name));
  if (there == found.objects.end() || there->second != describe_set(shape_of(set))) return false;
  if (set.dynamic) return true;
  const auto elements = found.elements.find(id_of(set));
  if (elements == found.elements.end()) return false;
  return !set.ranges || elements->second == elements_in(plan, id_of(set));
}

bool same_hooks_in(std::uint32_t family, const NftSnapshot& found, const NftPlan& plan) {
  const auto table = found.objects.find(nft_name("table", family, kNftTable));
  if (table == found.objects.end() || table->second != describe_table(0)) return false;
  for (const auto& name : names_of(found, "chain", family)) {
    const auto& hooks = found.objects.at(nft_name("chain", family, kNftTable, name));
    if (!hooks.empty() && !has_base_chain(plan, family, name)) return false;
  }
  return std::all_of(plan.base_chains.begin(), plan.base_chains.end(), [&](const auto& chain) {
    if (chain.first != family) return true;
    const auto there = found.objects.find(nft_name("chain", family, kNftTable, chain.second.name));
    return there != found.objects.end() && there->second == describe_hook(chain.second);
  });
}

}  // namespace

bool same_hooks(const NftSnapshot& found, const NftPlan& plan) {
  return same_hooks_in(kInet, found, plan) && same_hooks_in(kArp, found, plan);
}

void make_anew(NftScript& script, std::uint32_t family, const NftSnapshot& found,
               const NftPlan& plan) {
  if (!has_table(plan, family)) {
    const bool there = found.objects.contains(nft_name("table", family, kNftTable));
    if (there) script.add(delete_table(family));
    return;
  }
  // Adding first makes the deletion succeed whether the table was there or not.
  script.add(add_table(family)).add(delete_table(family)).add(add_table(family));
  for (const auto& [of, chain] : plan.base_chains) {
    if (of == family) script.add(add_base_chain(family, chain));
  }
}

Result<std::vector<Message>> exchange(const NftSnapshot& found, const NftPlan& plan) {
  std::set<std::uint32_t> families = {kInet, kArp};
  if (has_table(plan, kBridge) && same_hooks_in(kBridge, found, plan)) families.insert(kBridge);
  std::set<NftSetId> staying;
  for (const NftSet& set : plan.sets) {
    if (families.contains(set.family) && stays(found, plan, set)) staying.insert(id_of(set));
  }

  // Nothing may be referred to when it is deleted: rules first, then elements, then chains.
  NftScript script;
  if (!families.contains(kBridge)) make_anew(script, kBridge, found, plan);
  for (const std::uint32_t family : families) script.add(delete_rules(family));
  for (const std::uint32_t family : families) {
    for (const auto& name : names_of(found, "set", family)) {
      if (!staying.contains({family, name})) script.add(delete_set(family, name));
    }
    for (const auto& name : names_of(found, "object", family)) {
      script.add(delete_counter(family, name));
    }
  }
  PANAL_ASSIGN(auto messages, script.finish());
  for (const NftSetId& set : staying) {
    const auto there = found.elements.find(set);
    if (there == found.elements.end()) continue;  // dynamic
    PANAL_TRY(append_elements(messages, NFT_MSG_DELSETELEM, set.family, set.name,
                              without(there->second, elements_in(plan, set))));
  }
  NftScript rest;
  for (const std::uint32_t family : families) {
    for (const auto& name : names_of(found, "chain", family)) {
      if (!has_chain(plan, family, name) && !has_base_chain(plan, family, name)) {
        rest.add(delete_chain(family, name));
      }
    }
  }
  for (const auto& [family, name] : plan.counters) rest.add(add_counter(family, name));
  std::uint32_t id = 0;
  for (const NftSet& set : plan.sets) {
    ++id;
    if (!staying.contains(id_of(set))) rest.add(add_set(set.family, set, id));
  }
  for (const auto& [family, name] : plan.chains) {
    const bool there = families.contains(family) &&
                       found.objects.contains(nft_name("chain", family, kNftTable, name));
    if (!there) rest.add(add_chain(family, name));
  }
  PANAL_ASSIGN(auto more, rest.finish());
  std::move(more.begin(), more.end(), std::back_inserter(messages));
  messages.insert(messages.end(), plan.rules.begin(), plan.rules.end());
  for (const NftSet& set : plan.sets) {
    const auto asked = elements_in(plan, id_of(set));
    const auto there = found.elements.find(id_of(set));
    const bool known = staying.contains(id_of(set)) && there != found.elements.end();
    PANAL_TRY(append_elements(messages, NFT_MSG_NEWSETELEM, set.family, set.name,
                              without(asked, known ? there->second : std::set<NftElement>{})));
  }
  return messages;
}

}  // namespace panal::netconfine
