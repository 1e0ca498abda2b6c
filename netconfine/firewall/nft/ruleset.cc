#include "netconfine/firewall/nft/ruleset.h"

// clang-format off: glibc's headers before linux/*.h, which then leave out what they declare.
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <linux/if_arp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_arp.h>
#include <linux/netfilter_ipv4.h>
// clang-format on

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "netconfine/firewall/nft/bridge_ruleset.h"
#include "netconfine/firewall/nft/policy_chains.h"
#include "netconfine/firewall/nft/rule.h"
#include "netconfine/firewall/nft/script.h"
#include "netconfine/firewall/nft/services.h"

namespace panal::netconfine {
namespace {

constexpr std::uint32_t kInet = NFPROTO_INET;
constexpr std::uint32_t kArp = NFPROTO_ARP;
constexpr std::uint32_t kBridge = NFPROTO_BRIDGE;

// Offsets in the headers (RFC 791, RFC 8200, IEEE 802.3).
constexpr std::uint32_t kMacSourceOffset = 6;
constexpr std::uint32_t kIpv4FragmentOffset = 6;
constexpr std::uint32_t kIpv4SourceOffset = 12;
constexpr std::uint32_t kIpv6NextHeaderOffset = 6;
constexpr std::uint32_t kIpv6SourceOffset = 8;

// RFC 792.
constexpr std::uint8_t kDestinationUnreachable = 3, kFragmentationNeeded = 4;

constexpr const char* kPrerouting = "prerouting";
constexpr const char* kInput = "input";
constexpr const char* kForward = "forward";
constexpr const char* kOutput = "output";
constexpr const char* kPostrouting = "postrouting";
constexpr const char* kFromUplink = "from_uplink";

// Which policy a link has, and where packets with its number go on. Two steps, so that adding a
// desktop adds no verdict: for each of those the kernel looks through all chains there are.
constexpr const char* kPolicyOf = "policy_of";
constexpr const char* kPolicyOut = "policy_out";
constexpr const char* kPolicyIn = "policy_in";
constexpr const char* kPolicyPeers = "policy_peers";
constexpr const char* kExtensions = "ipv6_extensions";

// One counter a reason.
constexpr const char* kSpoofed4 = "spoofed_ipv4";
constexpr const char* kSpoofed6 = "spoofed_ipv6";
constexpr const char* kSpoofedOutside = "spoofed_outside";
constexpr const char* kFragment = "fragment";
constexpr const char* kOptions = "header_options";
constexpr const char* kLinkLocal = "link_local";
constexpr const char* kNeighbour = "neighbour_discovery";
constexpr const char* kToHost = "to_host";
constexpr const char* kToOutside = "to_outside";
constexpr const char* kFromHost = "from_host";
constexpr const char* kArpIn = "arp_in";
constexpr const char* kArpOut = "arp_out";

constexpr const char* kDesktopLinks = "pnl*";

NftKey link_key(const std::string& link) {
  NftKey bytes(kFieldLink.bytes, 0);
  std::copy_n(link.begin(), std::min<std::size_t>(link.size(), kFieldLink.bytes - 1),
              bytes.begin());
  return bytes;
}

NftKey key(const Addresses& sender, std::span<const std::uint8_t> address) {
  NftKey bytes = link_key(sender.link);
  bytes.insert(bytes.end(), sender.mac.begin(), sender.mac.end());
  bytes.insert(bytes.end(), {0, 0});  // to a whole register
  bytes.insert(bytes.end(), address.begin(), address.end());
  return bytes;
}

NftRule rule_in(const std::string& chain, std::uint32_t family = kInet) { return {family, chain}; }

NftRule& of_family(NftRule& rule, std::uint8_t family) {
  return rule.meta(NFT_META_NFPROTO).equals_u8(family);
}

// Goes on for neighbour solicitations and advertisements, or all of 133..137: router solicitation
// to redirect (RFC 4861).
NftRule& is_neighbour_discovery(NftRule& rule, std::uint8_t first, std::uint8_t last) {
  of_family(rule, NFPROTO_IPV6).meta(NFT_META_L4PROTO).equals_u8(IPPROTO_ICMPV6);
  return rule.payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1)
      .compare(NFT_CMP_GTE, std::span(&first, 1))
      .compare(NFT_CMP_LTE, std::span(&last, 1));
}

// `meta iiftype ether`: the key's parts are there to be read.
NftRule& sender_is_known(NftRule& rule, std::uint8_t family, std::uint32_t offset,
                         std::uint32_t length, const char* set) {
  return of_family(rule, family)
      .meta(NFT_META_IIFTYPE)
      .equals_u16(ARPHRD_ETHER)
      .meta(NFT_META_IIFNAME)
      .payload(NFT_PAYLOAD_LL_HEADER, kMacSourceOffset, 6, NftRegister::k4)
      .payload(NFT_PAYLOAD_NETWORK_HEADER, offset, length, NftRegister::k6)
      .in_set(set);
}

void senders4(NftScript& script) {
  // A desktop's fragments would fill the memory in which everybody's are put together, before
  // any rule could see their ports.
  constexpr std::array<std::uint8_t, 2> kMoreOrOffset = {0x3f, 0xff};
  constexpr std::array<std::uint8_t, 2> kNone = {};
  NftRule fragment(kInet, kPrerouting);
  of_family(fragment, NFPROTO_IPV4)
      .payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv4FragmentOffset, 2)
      .mask(kMoreOrOffset)
      .compare(NFT_CMP_NEQ, kNone);
  script.add(fragment.count(kFragment).drop());

  constexpr std::array<std::uint8_t, 1> kLengthBits = {0x0f};
  constexpr std::array<std::uint8_t, 1> kNoOptions = {5};
  NftRule options(kInet, kPrerouting);
  of_family(options, NFPROTO_IPV4)
      .payload(NFT_PAYLOAD_NETWORK_HEADER, 0, 1)
      .mask(kLengthBits)
      .compare(NFT_CMP_NEQ, kNoOptions);
  script.add(options.count(kOptions).drop());

  NftRule known(kInet, kPrerouting);
  sender_is_known(known, NFPROTO_IPV4, kIpv4SourceOffset, 4, kSenders4).accept();
  script.add(known);

  NftRule spoofed(kInet, kPrerouting);
  script.add(of_family(spoofed, NFPROTO_IPV4).count(kSpoofed4).drop());
}

void senders6(NftScript& script) {
  // Neighbours are permanent, nobody asks.
  NftRule neighbour(kInet, kPrerouting);
  script.add(
      is_neighbour_discovery(neighbour, ND_ROUTER_SOLICIT, ND_REDIRECT).count(kNeighbour).drop());

  // fe80::/10. Not an attack by itself (every Linux reports its multicast groups so when a link
  // comes up), hence a counter apart.
  constexpr std::array<std::uint8_t, 2> kMask = {0xff, 0xc0};
  constexpr std::array<std::uint8_t, 2> kPrefix = {0xfe, 0x80};
  NftRule link_local(kInet, kPrerouting);
  of_family(link_local, NFPROTO_IPV6)
      .payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv6SourceOffset, 2)
      .mask(kMask)
      .compare(NFT_CMP_EQ, kPrefix);
  script.add(link_local.count(kLinkLocal).drop());

  // Fragments among them, for the reason above.
  NftRule extension(kInet, kPrerouting);
  of_family(extension, NFPROTO_IPV6)
      .payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv6NextHeaderOffset, 1)
      .in_set(kExtensions);
  script.add(extension.count(kOptions).drop());

  NftRule known(kInet, kPrerouting);
  sender_is_known(known, NFPROTO_IPV6, kIpv6SourceOffset, 16, kSenders6).accept();
  script.add(known);

  NftRule spoofed(kInet, kPrerouting);
  script.add(of_family(spoofed, NFPROTO_IPV6).count(kSpoofed6).drop());
}

// Who may send at all. Before fragments are put together, conntrack and routing, so that what is
// dropped costs nearly nothing.
void prerouting(NftScript& script, const std::string& uplink) {
  script.add(rule_in(kPrerouting).meta(NFT_META_IIFTYPE).equals_u16(ARPHRD_LOOPBACK).accept());
  if (!uplink.empty()) {
    script.add(rule_in(kPrerouting).meta(NFT_META_IIFNAME).is_link(uplink).go_to(kFromUplink));
    NftRule neighbour(kInet, kFromUplink);
    script.add(is_neighbour_discovery(neighbour, ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT).accept());
    // The way back leads elsewhere: to the desktop whose address it claims.
    script.add(
        rule_in(kFromUplink).link_back_to_source().equals_u32(0).count(kSpoofedOutside).drop());
    script.add(rule_in(kFromUplink).accept());
  }
  senders4(script);
  senders6(script);
}

// "Too big" of a connection: without it a way with a smaller MTU swallows desktops' long packets
// (RFC 1191, RFC 8201).
void tell_too_big(NftScript& script) {
  constexpr std::uint32_t kTypeOffset = 0, kCodeOffset = 1;
  const auto answers = [&](NftRule& rule) {
    rule.connection(NFT_CT_STATE).any_of(NF_CT_STATE_BIT(IP_CT_RELATED));
    script.add(rule.accept());
  };
  NftRule four(kInet, kOutput);
  of_family(four, NFPROTO_IPV4).meta(NFT_META_L4PROTO).equals_u8(IPPROTO_ICMP);
  four.payload(NFT_PAYLOAD_TRANSPORT_HEADER, kTypeOffset, 1).equals_u8(kDestinationUnreachable);
  answers(
      four.payload(NFT_PAYLOAD_TRANSPORT_HEADER, kCodeOffset, 1).equals_u8(kFragmentationNeeded));
  NftRule six(kInet, kOutput);
  of_family(six, NFPROTO_IPV6).meta(NFT_META_L4PROTO).equals_u8(IPPROTO_ICMPV6);
  answers(
      six.payload(NFT_PAYLOAD_TRANSPORT_HEADER, kTypeOffset, 1).equals_u8(ICMP6_PACKET_TOO_BIG));
}

void local(NftScript& script, const std::string& uplink) {
  script.add(rule_in(kInput).meta(NFT_META_IIFTYPE).equals_u16(ARPHRD_LOOPBACK).accept());
  script.add(rule_in(kOutput).meta(NFT_META_OIFTYPE).equals_u16(ARPHRD_LOOPBACK).accept());
  if (!uplink.empty()) {
    // The uplink's neighbours are asked for and answered; that is all this side does there.
    for (const bool in : {true, false}) {
      NftRule rule(kInet, in ? kInput : kOutput);
      rule.meta(in ? NFT_META_IIFNAME : NFT_META_OIFNAME).is_link(uplink);
      script.add(is_neighbour_discovery(rule, ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT).accept());
      script.add(rule_in(in ? kInput : kOutput, kArp)
                     .meta(in ? NFT_META_IIFNAME : NFT_META_OIFNAME)
                     .is_link(uplink)
                     .accept());
    }
    tell_too_big(script);
  }
  script.add(rule_in(kInput).count(kToHost).drop());
  script.add(rule_in(kOutput).count(kFromHost).drop());
  script.add(rule_in(kInput, kArp).count(kArpIn).drop());
  script.add(rule_in(kOutput, kArp).count(kArpOut).drop());
}

// Sends packets to the chain that `verdicts` has for the policy of the link at one end.
NftRule& by_policy(NftRule& rule, std::uint32_t link, const char* verdicts) {
  return rule.meta(link)
      .value_of(kPolicyOf)
      .set_packet_mark()
      .meta(NFT_META_MARK)
      .verdict_of(verdicts);
}

void forward(NftScript& script, const std::string& uplink, bool groups) {
  const auto pass = [&](std::uint32_t end, const char* name, std::uint32_t desktops_end,
                        const char* verdicts) {
    NftRule rule(kInet, kForward);
    rule.meta(end).is_link(name);
    script.add(by_policy(rule, desktops_end, verdicts));
  };
  // Conntrack counts an error among the connection that it is about, mark and all, whoever has sent
  // it: a desktop would end others' by errors that it makes up.
  if (groups || !uplink.empty()) {
    script.add(rule_in(kForward)
                   .meta(NFT_META_IIFNAME)
                   .is_link(kDesktopLinks)
                   .connection(NFT_CT_STATE)
                   .any_of(NF_CT_STATE_BIT(IP_CT_RELATED))
                   .count(kInvalid)
                   .drop());
  }
  if (groups) pass(NFT_META_OIFNAME, kDesktopLinks, NFT_META_IIFNAME, kPolicyPeers);
  if (!uplink.empty()) {
    pass(NFT_META_OIFNAME, uplink.c_str(), NFT_META_IIFNAME, kPolicyOut);
    pass(NFT_META_IIFNAME, uplink.c_str(), NFT_META_OIFNAME, kPolicyIn);
  }
  script.add(
      rule_in(kForward).meta(NFT_META_OIFNAME).is_link(kDesktopLinks).count(kToDesktop).drop());
  script.add(rule_in(kForward).count(kToOutside).drop());
}

Result<void> check(const Ruleset& rules) {
  if (rules.uplink.size() >= kFieldLink.bytes || rules.uplink.find('*') != std::string::npos ||
      id_of_link(rules.uplink) != 0 || rules.uplink.starts_with("pnl")) {
    return fail(EINVAL, fmt::format("uplink \"{}\": want the name of a link (at most 15 letters) "
                                    "that is no desktop's",
                                    rules.uplink));
  }
  std::set<std::uint32_t> ids, numbers;
  for (const CompiledPolicy& policy : rules.policies) {
    if (policy.id == 0 || policy.id > 0xffff || !ids.insert(policy.id).second) {
      return fail(EINVAL, fmt::format("policy \"{}\": its number {} is taken or not 1..65535",
                                      policy.name, policy.id));
    }
    if (!numbers.insert(number_of(policy)).second) {
      return fail(EINVAL, fmt::format("policy \"{}\" of tenant \"{}\": another one has its number "
                                      "in the kernel; give it another name",
                                      policy.name, policy.tenant));
    }
  }
  return {};
}

const CompiledPolicy* find(const Ruleset& rules, std::uint32_t id) {
  // By id, as compile() sorts them; by hand in tests, perhaps not.
  const auto found = std::find_if(rules.policies.begin(), rules.policies.end(),
                                  [&](const CompiledPolicy& policy) { return policy.id == id; });
  return found != rules.policies.end() ? &*found : nullptr;
}

NftSetId inet(std::string name) { return {kInet, std::move(name)}; }

// Appended by name: each set once, whatever was asked for before.
void merge(NftElements& into, NftElements from) {
  for (auto& [set, elements] : from) {
    auto& all = into[set];
    all.insert(all.end(), std::make_move_iterator(elements.begin()),
               std::make_move_iterator(elements.end()));
  }
}

NftElements in_family(std::uint32_t family, std::map<std::string, std::vector<NftElement>> all) {
  NftElements elements;
  for (auto& [name, some] : all) elements[{family, name}] = std::move(some);
  return elements;
}

NftKey mark_of(std::uint32_t number) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(&number);
  return {first, first + sizeof(number)};
}

// Of policies, not of desktops: these change with the rules only.
void add_maps(NftPlan& plan, const Ruleset& rules, bool groups) {
  if (rules.uplink.empty() && !groups) return;
  plan.sets.push_back({.name = kPolicyOf, .key = {kFieldLink}, .marks = true});
  const auto verdicts = [&](const char* name) {
    plan.sets.push_back({.name = name, .key = {kFieldMark}, .verdicts = true});
  };
  if (groups) verdicts(kPolicyPeers);
  if (!rules.uplink.empty()) {
    verdicts(kPolicyOut);
    verdicts(kPolicyIn);
  }
  for (const CompiledPolicy& policy : rules.policies) {
    const PolicyChains chains = chains_of(policy);
    const NftKey number = mark_of(number_of(policy));
    if (policy.group != 0) {
      plan.elements[inet(kPolicyPeers)].push_back({.key = number, .chain = chains.peers});
    }
    if (!rules.uplink.empty()) {
      plan.elements[inet(kPolicyOut)].push_back({.key = number, .chain = chains.out});
      plan.elements[inet(kPolicyIn)].push_back({.key = number, .chain = chains.in});
    }
  }
}

void add_base_chains(NftPlan& plan, bool masquerade) {
  const auto filter = [&](std::uint32_t family, const char* name, std::uint32_t hook,
                          std::int32_t priority) {
    plan.base_chains.emplace_back(
        family, NftBaseChain{.name = name, .type = "filter", .hook = hook, .priority = priority});
  };
  filter(kInet, kPrerouting, NF_INET_PRE_ROUTING, NF_IP_PRI_RAW_BEFORE_DEFRAG);
  filter(kInet, kInput, NF_INET_LOCAL_IN, NF_IP_PRI_FILTER);
  filter(kInet, kForward, NF_INET_FORWARD, NF_IP_PRI_FILTER);
  filter(kInet, kOutput, NF_INET_LOCAL_OUT, NF_IP_PRI_FILTER);
  filter(kArp, kInput, NF_ARP_IN, NF_IP_PRI_FILTER);
  filter(kArp, kOutput, NF_ARP_OUT, NF_IP_PRI_FILTER);
  if (masquerade) {
    plan.base_chains.emplace_back(kInet, NftBaseChain{.name = kPostrouting,
                                                      .type = "nat",
                                                      .hook = NF_INET_POST_ROUTING,
                                                      .priority = NF_IP_PRI_NAT_SRC,
                                                      .drops = false});
  }
}

// Headers that put another one between IPv6's and the transport's, so that rules look at the
// wrong one, or that carry fragments (IANA's register of extension headers, less ESP).
NftSet extensions(NftElements& elements) {
  for (const std::uint8_t next :
       std::array<std::uint8_t, 10>{0, 43, 44, 51, 60, 135, 139, 140, 253, 254}) {
    elements[inet(kExtensions)].push_back({.key = {next}});
  }
  return {.name = kExtensions, .key = {kFieldProtocol}};
}

// Without desktops: their elements come with those of the other tables.
Result<void> add_bridge_table(NftPlan& plan, const Ruleset& rules) {
  PANAL_ASSIGN(auto table, bridge_table(rules, {}));
  for (NftBaseChain& chain : table.base_chains)
    plan.base_chains.emplace_back(kBridge, std::move(chain));
  for (std::string& name : table.chains) plan.chains.emplace_back(kBridge, std::move(name));
  for (std::string& name : table.counters) plan.counters.emplace_back(kBridge, std::move(name));
  for (NftSet& set : table.sets) {
    set.family = kBridge;
    plan.sets.push_back(std::move(set));
  }
  std::move(table.rules.begin(), table.rules.end(), std::back_inserter(plan.rules));
  merge(plan.elements, in_family(kBridge, std::move(table.elements)));
  return {};
}

}  // namespace

NftKey sender_key4(const Addresses& sender) { return key(sender, sender.ipv4); }
NftKey sender_key6(const Addresses& sender) { return key(sender, sender.ipv6); }

std::string link_of_key(const NftKey& key) {
  const auto end = key.begin() +
                   static_cast<std::ptrdiff_t>(std::min<std::size_t>(key.size(), kFieldLink.bytes));
  return {key.begin(), std::find(key.begin(), end, 0)};
}

Result<NftElements> elements_of(const Ruleset& rules, const Sender& sender) {
  NftElements elements;
  elements[inet(kSenders4)] = {{.key = sender_key4(sender.addresses)}};
  elements[inet(kSenders6)] = {{.key = sender_key6(sender.addresses)}};
  if (sender.policy == 0) return elements;
  const CompiledPolicy* policy = find(rules, sender.policy);
  if (policy == nullptr) {
    return fail(EINVAL, fmt::format("{}: policy number {} is not among the rules",
                                    sender.addresses.link, sender.policy));
  }
  // Without a way out and a group there is nowhere to go to.
  if (rules.uplink.empty() && policy->group == 0) return elements;
  const NftKey link = link_key(sender.addresses.link);
  elements[inet(kPolicyOf)] = {{.key = link, .data = mark_of(number_of(*policy))}};
  if (policy->group == 0) return elements;
  elements[inet(chains_of(*policy).group)] = {{.key = link}};
  PANAL_ASSIGN(auto of_bridge, bridge_elements_of(rules, sender));
  merge(elements, in_family(kBridge, std::move(of_bridge)));
  return elements;
}

Result<NftPlan> plan(const Ruleset& rules, std::span<const Sender> senders) {
  PANAL_TRY(check(rules));
  NftPlan plan;
  NftScript script;
  ServiceSets services;
  std::set<std::string> groups;
  bool logs = false;
  for (const CompiledPolicy& policy : rules.policies) {
    auto parts = add_policy(script, services, rules, policy);
    for (std::string& chain : parts.chains) plan.chains.emplace_back(kInet, std::move(chain));
    std::move(parts.sets.begin(), parts.sets.end(), std::back_inserter(plan.sets));
    if (policy.group != 0) groups.insert(chains_of(policy).group);
    logs = logs || policy.log != NetLog::kNone;
  }
  plan.tracks = !plan.chains.empty();
  const bool masquerade = rules.masquerade && !rules.uplink.empty();
  add_base_chains(plan, masquerade);
  add_maps(plan, rules, !groups.empty());
  for (const auto& group : groups) plan.sets.push_back({.name = group, .key = {kFieldLink}});
  if (logs) {
    plan.sets.push_back(
        {.name = kLogRate, .key = {kFieldLink}, .dynamic = true, .timeout_ms = 60'000});
  }
  plan.sets.push_back({.name = kSenders4, .key = {kFieldLink, kFieldMac, kFieldIpv4}});
  plan.sets.push_back({.name = kSenders6, .key = {kFieldLink, kFieldMac, kFieldIpv6}});
  plan.sets.push_back(extensions(plan.elements));
  for (auto& set : services.sets()) plan.sets.push_back(std::move(set));
  merge(plan.elements, in_family(kInet, services.elements()));
  if (!rules.uplink.empty()) plan.chains.emplace_back(kInet, kFromUplink);

  prerouting(script, rules.uplink);
  local(script, rules.uplink);
  forward(script, rules.uplink, !groups.empty());
  if (masquerade) {
    script.add(rule_in(kPostrouting).meta(NFT_META_OIFNAME).is_link(rules.uplink).masquerade());
  }
  PANAL_ASSIGN(plan.rules, script.finish());

  for (const char* reason :
       {kSpoofed4, kSpoofed6, kSpoofedOutside, kFragment, kOptions, kLinkLocal, kNeighbour, kToHost,
        kToDesktop, kToOutside, kFromHost, kDenied, kInvalid, kOverRate, kOverConnections}) {
    plan.counters.emplace_back(kInet, reason);
  }
  for (const char* reason : {kArpIn, kArpOut}) plan.counters.emplace_back(kArp, reason);
  const bool bridged = std::any_of(rules.policies.begin(), rules.policies.end(),
                                   [](const CompiledPolicy& policy) { return policy.bridged; });
  if (bridged) PANAL_TRY(add_bridge_table(plan, rules));
  for (const Sender& sender : senders) {
    PANAL_ASSIGN(auto elements, elements_of(rules, sender));
    merge(plan.elements, std::move(elements));
  }
  return plan;
}

bool has_table(const NftPlan& plan, std::uint32_t family) {
  return std::any_of(plan.base_chains.begin(), plan.base_chains.end(),
                     [&](const auto& chain) { return chain.first == family; });
}

Result<std::vector<Message>> contents(const NftPlan& plan) {
  NftScript script;
  for (const auto& [family, name] : plan.counters) script.add(add_counter(family, name));
  std::uint32_t id = 0;
  for (const NftSet& set : plan.sets) script.add(add_set(set.family, set, ++id));
  for (const auto& [family, name] : plan.chains) script.add(add_chain(family, name));
  PANAL_ASSIGN(auto messages, script.finish());
  messages.insert(messages.end(), plan.rules.begin(), plan.rules.end());
  // Last: those of maps name chains.
  for (const auto& [set, elements] : plan.elements) {
    PANAL_TRY(append_elements(messages, NFT_MSG_NEWSETELEM, set.family, set.name, elements));
  }
  return messages;
}

}  // namespace panal::netconfine
