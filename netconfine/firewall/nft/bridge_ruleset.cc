#include "netconfine/firewall/nft/bridge_ruleset.h"

// clang-format off: glibc's headers before linux/*.h, which then leave out what they declare.
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
// clang-format on

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "netconfine/bridge/shard.h"
#include "netconfine/firewall/nft/rule.h"
#include "netconfine/firewall/nft/script.h"
#include "netconfine/policy/group_number.h"

namespace panal::netconfine {
namespace {

constexpr std::uint32_t kBridge = NFPROTO_BRIDGE;

// Hooks and the first of their priorities (linux/netfilter_bridge.h, which cannot be had beside
// <netinet/in.h>).
constexpr std::uint32_t kHookPrerouting = 0, kHookInput = 1, kHookForward = 2, kHookOutput = 3;
constexpr std::int32_t kBeforeOthers = -300, kFilter = -200, kBeforeAll = -1000;

constexpr const char* kPrerouting = "prerouting";
constexpr const char* kInput = "input";
constexpr const char* kForward = "forward";
constexpr const char* kOutput = "output";
constexpr const char* kToMany = "to_many";
constexpr const char* kArpChain = "from_arp";
constexpr const char* kIp4Chain = "from_ip4";
constexpr const char* kIp6Chain = "from_ip6";
constexpr const char* kAskChain = "solicitation";
constexpr const char* kAnswerChain = "advertisement";
constexpr const char* kErrors4Chain = "errors_ip4";
constexpr const char* kErrors6Chain = "errors_ip6";

constexpr const char* kPorts4 = "ports4";
constexpr const char* kPorts6 = "ports6";
constexpr const char* kGroupOf = "group_of";
constexpr const char* kGroupPorts = "group_ports";
constexpr const char* kManyRate = "many_rate";
constexpr const char* kGroupRate = "group_rate";
constexpr const char* kExtensions = "ipv6_extensions";

// One counter a reason.
constexpr const char* kSpoofed = "bridge_spoofed";
constexpr const char* kHeaders = "bridge_headers";
constexpr const char* kRouters = "bridge_routers";
constexpr const char* kProtocols = "bridge_protocols";
constexpr const char* kMany = "bridge_many";
constexpr const char* kStrangers = "bridge_strangers";
constexpr const char* kBridgeToHost = "bridge_to_host";
constexpr const char* kBridgeFromHost = "bridge_from_host";

// Frames to many, of one desktop and of all of a group: each of them is as many as there are mates,
// and if all of these sent as many as one may, their square.
constexpr std::uint32_t kManyPerSecond = 100, kManyBurst = 200;
constexpr std::uint32_t kGroupPerSecond = 400, kGroupBurst = 400;
constexpr std::uint64_t kManyTimeoutMs = 60'000;

// Offsets (IEEE 802.3, RFC 826, RFC 791, RFC 8200, RFC 4861).
constexpr std::uint32_t kMacTo = 0, kMacFrom = 6, kEtherType = 12;
constexpr std::uint32_t kArpOperation = 6, kArpMac = 8, kArpAddress = 14;
constexpr std::uint32_t kIp4Fragment = 6, kIp4Source = 12;
constexpr std::uint32_t kIp6Length = 4, kIp6Next = 6, kIp6Hops = 7, kIp6Source = 8;
constexpr std::uint32_t kNeighbourFlags = 4, kNeighbourTarget = 8, kNeighbourOption = 24,
                        kNeighbourMac = 26;
// Of the packet that an error is about, where it was sent to (RFC 792, RFC 4443).
constexpr std::uint32_t kAbout4 = 8 + 16, kAbout6 = 8 + 24;

/// Types of ICMP, first and last.
using IcmpTypes = std::array<std::uint8_t, 2>;
// Redirects; router advertisements and solicitations (RFC 1256).
constexpr std::array kRouters4 = {IcmpTypes{5, 5}, IcmpTypes{9, 10}};
// Unreachable and source quench; time exceeded and parameter problem.
constexpr std::array kErrors4 = {IcmpTypes{3, 4}, IcmpTypes{11, 12}};
// Who listens to what, which is of no use on a bridge that does not ask, and routers; redirects and
// renumbering; what mobile nodes, their routers and inverse discovery say.
constexpr std::array kRouters6 = {IcmpTypes{130, ND_ROUTER_ADVERT}, IcmpTypes{ND_REDIRECT, 138},
                                  IcmpTypes{141, 153}};
// Known or not (RFC 4443, 2.1).
constexpr IcmpTypes kErrors6 = {0, 127};

constexpr std::uint32_t kLink = NFT_PAYLOAD_LL_HEADER, kNet = NFT_PAYLOAD_NETWORK_HEADER,
                        kTransport = NFT_PAYLOAD_TRANSPORT_HEADER;

template <typename... Bytes>
constexpr std::array<std::uint8_t, sizeof...(Bytes)> bytes(Bytes... values) {
  return {static_cast<std::uint8_t>(values)...};
}

NftRule rule_for(const std::string& chain) { return {kBridge, chain}; }

/// A field that holds the key's MAC or address.
struct Field {
  std::uint32_t base, offset, length;
};
constexpr Field kFromMac{kLink, kMacFrom, 6};

/// Goes on only where the link it came by, this MAC and this address belong together.
NftRule& belongs(NftRule& rule, const Field& mac, const Field& address, const char* set) {
  return rule.meta(NFT_META_IIFNAME)
      .payload(mac.base, mac.offset, mac.length, NftRegister::k4)
      .payload(address.base, address.offset, address.length, NftRegister::k6)
      .in_set(set);
}

NftRule& has(NftRule& rule, std::uint32_t base, std::uint32_t offset,
             std::span<const std::uint8_t> value) {
  return rule.payload(base, offset, static_cast<std::uint32_t>(value.size()))
      .compare(NFT_CMP_EQ, value);
}

/// A packet whose lengths do not agree has no transport protocol.
NftRule& is_whole(NftRule& rule) {
  return rule.meta(NFT_META_L4PROTO).compare(NFT_CMP_NEQ, bytes(IPPROTO_RAW));
}

void goes_to(NftScript& script, std::uint8_t high, std::uint8_t low, const char* chain) {
  // As the frame has it: what the kernel calls the packet's protocol is that behind a VLAN tag.
  NftRule rule(kBridge, kPrerouting);
  script.add(has(rule, kLink, kEtherType, bytes(high, low)).go_to(chain));
}

void sent_by_ports(NftScript& script) {
  script.add(rule_for(kPrerouting).meta(NFT_META_IIFNAME).value_of(kGroupOf).set_packet_mark());
  for (const char* trunks : {"pnt*", "pnu*"})
    script.add(rule_for(kPrerouting).meta(NFT_META_IIFNAME).is_link(trunks).accept());
  script.add(rule_for(kPrerouting)
                 .payload(kLink, kMacTo, 1)
                 .mask(bytes(1))
                 .compare(NFT_CMP_NEQ, bytes(0))
                 .jump(kToMany));
  goes_to(script, 0x08, 0x06, kArpChain);
  goes_to(script, 0x08, 0x00, kIp4Chain);
  goes_to(script, 0x86, 0xdd, kIp6Chain);
  script.add(rule_for(kPrerouting).count(kProtocols).drop());

  // 01:80:c2:00:00:00 to :0f, which are for the bridge at the other end of a cable. A bridge
  // without a spanning tree passes others' on.
  script.add(rule_for(kToMany)
                 .payload(kLink, kMacTo, 6)
                 .mask(bytes(0xff, 0xff, 0xff, 0xff, 0xff, 0xf0))
                 .compare(NFT_CMP_EQ, bytes(0x01, 0x80, 0xc2, 0, 0, 0))
                 .count(kProtocols)
                 .drop());
  script.add(rule_for(kToMany)
                 .meta(NFT_META_IIFNAME)
                 .rate(kManyRate, true, kManyPerSecond, kManyBurst)
                 .count(kMany)
                 .drop());
  script.add(rule_for(kToMany)
                 .meta(NFT_META_MARK)
                 .rate(kGroupRate, true, kGroupPerSecond, kGroupBurst)
                 .count(kMany)
                 .drop());
}

void arp(NftScript& script) {
  // Ethernet and IPv4, with lengths to match.
  NftRule rule(kBridge, kArpChain);
  has(rule, kNet, 0, bytes(0, 1, 8, 0, 6, 4))
      .payload(kNet, kArpOperation, 2)
      .compare(NFT_CMP_GTE, bytes(0, 1))
      .compare(NFT_CMP_LTE, bytes(0, 2));
  const Field address{kNet, kArpAddress, 4};
  belongs(rule, kFromMac, address, kPorts4);
  script.add(belongs(rule, {kNet, kArpMac, 6}, address, kPorts4).accept());
  script.add(rule_for(kArpChain).count(kSpoofed).drop());
}

/// What only a DHCP server sends (RFC 2131, RFC 8415), by the port it is sent from or, as clients
/// care for that one alone, to.
void no_servers(NftScript& script, const char* chain, std::uint16_t server, std::uint16_t client) {
  constexpr std::uint32_t kFromPort = 0, kToPort = 2;
  for (const auto& [at, port] : {std::pair(kFromPort, server), std::pair(kToPort, client)}) {
    NftRule rule(kBridge, chain);
    rule.meta(NFT_META_L4PROTO).equals_u8(IPPROTO_UDP);
    script.add(has(rule, kTransport, at, bytes(port >> 8, port & 0xff)).count(kRouters).drop());
  }
}

NftRule& is_icmp(NftRule& rule, std::uint8_t protocol, const IcmpTypes& types) {
  rule.meta(NFT_META_L4PROTO).equals_u8(protocol).payload(kTransport, 0, 1);
  const auto& [first, last] = types;
  if (first == last) return rule.equals_u8(first);
  return rule.compare(NFT_CMP_GTE, bytes(first)).compare(NFT_CMP_LTE, bytes(last));
}

/// An error is about a packet that its sender was sent. About others' packets everybody could make
/// some up: their receiver does not ask by whom it is told that a way is closed, or narrow.
void errors(NftScript& script, const char* chain, const Field& source, const Field& about,
            const char* set) {
  NftRule known(kBridge, chain);
  belongs(known, kFromMac, source, set);
  script.add(belongs(known, kFromMac, about, set).accept());
  script.add(rule_for(chain).count(kSpoofed).drop());
}

void ip4(NftScript& script) {
  script.add(rule_for(kIp4Chain)
                 .payload(kNet, kIp4Fragment, 2)
                 .mask(bytes(0x3f, 0xff))
                 .compare(NFT_CMP_NEQ, bytes(0, 0))
                 .count(kHeaders)
                 .drop());
  script.add(rule_for(kIp4Chain)
                 .payload(kNet, 0, 1)
                 .compare(NFT_CMP_NEQ, bytes(0x45))
                 .count(kHeaders)
                 .drop());
  no_servers(script, kIp4Chain, 67, 68);
  for (const IcmpTypes& types : kRouters4) {
    NftRule rule(kBridge, kIp4Chain);
    script.add(is_icmp(rule, IPPROTO_ICMP, types).count(kRouters).drop());
  }
  for (const IcmpTypes& types : kErrors4) {
    NftRule rule(kBridge, kIp4Chain);
    script.add(is_icmp(rule, IPPROTO_ICMP, types).go_to(kErrors4Chain));
  }
  const Field source{kNet, kIp4Source, 4};
  NftRule known(kBridge, kIp4Chain);
  is_whole(known);
  script.add(belongs(known, kFromMac, source, kPorts4).accept());
  script.add(rule_for(kIp4Chain).count(kSpoofed).drop());
  errors(script, kErrors4Chain, source, {kTransport, kAbout4, 4}, kPorts4);
}

/// Sent by a neighbour (RFC 4861, 7.1), with one option, its MAC, and nothing else. No `option`:
/// with none.
NftRule& is_neighbours(NftRule& rule, std::optional<std::uint8_t> option) {
  constexpr std::uint8_t kBare = kNeighbourOption, kOption = 8;
  has(rule, kNet, kIp6Hops, bytes(255));
  has(rule, kNet, kIp6Length, bytes(0, option ? kBare + kOption : kBare));
  if (option) has(rule, kTransport, kNeighbourOption, bytes(*option, 1));
  return rule;
}

void ip6(NftScript& script) {
  script.add(
      rule_for(kIp6Chain).payload(kNet, kIp6Next, 1).in_set(kExtensions).count(kHeaders).drop());
  for (const IcmpTypes& types : kRouters6) {
    NftRule rule(kBridge, kIp6Chain);
    script.add(is_icmp(rule, IPPROTO_ICMPV6, types).count(kRouters).drop());
  }
  for (const auto& [types, chain] :
       {std::pair(IcmpTypes{ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_SOLICIT}, kAskChain),
        std::pair(IcmpTypes{ND_NEIGHBOR_ADVERT, ND_NEIGHBOR_ADVERT}, kAnswerChain),
        std::pair(kErrors6, kErrors6Chain)}) {
    NftRule rule(kBridge, kIp6Chain);
    script.add(is_icmp(rule, IPPROTO_ICMPV6, types).go_to(chain));
  }
  no_servers(script, kIp6Chain, 547, 546);
  const Field source{kNet, kIp6Source, 16};
  NftRule known(kBridge, kIp6Chain);
  is_whole(known);
  script.add(belongs(known, kFromMac, source, kPorts6).accept());
  script.add(rule_for(kIp6Chain).count(kSpoofed).drop());
  errors(script, kErrors6Chain, source, {kTransport, kAbout6, 16}, kPorts6);

  const Field mac{kTransport, kNeighbourMac, 6};
  NftRule asks(kBridge, kAskChain);
  is_neighbours(asks, ND_OPT_SOURCE_LINKADDR);
  belongs(asks, kFromMac, source, kPorts6);
  script.add(belongs(asks, mac, source, kPorts6).accept());
  script.add(rule_for(kAskChain).count(kSpoofed).drop());

  // For itself, and as no router. Who asks one neighbour alone knows its MAC: Linux leaves it out
  // of the answer then (7.2.4 allows it).
  const Field target{kTransport, kNeighbourTarget, 16};
  for (const bool with_mac : {true, false}) {
    NftRule answers(kBridge, kAnswerChain);
    is_neighbours(answers, with_mac ? std::optional<std::uint8_t>(ND_OPT_TARGET_LINKADDR)
                                    : std::optional<std::uint8_t>());
    answers.payload(kTransport, kNeighbourFlags, 1).mask(bytes(0x80)).compare(NFT_CMP_EQ, bytes(0));
    belongs(answers, kFromMac, source, kPorts6);
    belongs(answers, kFromMac, target, kPorts6);
    if (with_mac) belongs(answers, mac, target, kPorts6);
    script.add(answers.accept());
  }
  script.add(rule_for(kAnswerChain).count(kSpoofed).drop());
}

void to_ports(NftScript& script) {
  script.add(rule_for(kForward)
                 .meta(NFT_META_OIFNAME)
                 .meta(NFT_META_MARK, NftRegister::k4)
                 .in_set(kGroupPorts)
                 .accept());
  script.add(rule_for(kForward).count(kStrangers).drop());
  script.add(rule_for(kInput).count(kBridgeToHost).drop());
  script.add(rule_for(kOutput).count(kBridgeFromHost).drop());
}

NftKey name_key(const std::string& link) {
  NftKey key(kFieldLink.bytes, 0);
  std::copy_n(link.begin(), std::min<std::size_t>(link.size(), kFieldLink.bytes - 1), key.begin());
  return key;
}

NftKey number_key(std::uint32_t number) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(&number);
  return {first, first + sizeof(number)};
}

NftKey port_key(const std::string& port, const Mac& mac, std::span<const std::uint8_t> address) {
  NftKey key = name_key(port);
  key.insert(key.end(), mac.begin(), mac.end());
  key.insert(key.end(), {0, 0});  // to a whole register
  key.insert(key.end(), address.begin(), address.end());
  return key;
}

/// What a link brings is of a group, and what is of the group may go there.
void add_to_group(BridgeElements& elements, const std::string& link, std::uint32_t group) {
  const NftKey name = name_key(link), number = number_key(group);
  NftKey both = name;
  both.insert(both.end(), number.begin(), number.end());
  elements[kGroupOf].push_back({.key = name, .data = number});
  elements[kGroupPorts].push_back({.key = std::move(both)});
}

NftBaseChain filter(const char* name, std::uint32_t hook, std::int32_t priority) {
  return {.name = name, .type = "filter", .hook = hook, .priority = priority};
}

}  // namespace

Result<BridgeElements> bridge_elements_of(const Ruleset& rules, const Sender& sender) {
  BridgeElements elements;
  if (sender.policy == 0) return elements;
  const auto policy =
      std::find_if(rules.policies.begin(), rules.policies.end(),
                   [&](const CompiledPolicy& one) { return one.id == sender.policy; });
  if (policy == rules.policies.end()) {
    return fail(EINVAL, fmt::format("{}: policy number {} is not among the rules",
                                    sender.addresses.link, sender.policy));
  }
  if (!policy->bridged) return elements;
  const Addresses& own = sender.addresses;
  const std::string port = member_name(id_of_link(own.link));
  elements[kPorts4].push_back({.key = port_key(port, own.mac, own.ipv4)});
  elements[kPorts6].push_back({.key = port_key(port, own.mac, own.ipv6)});
  add_to_group(elements, port, group_number(*policy));
  return elements;
}

Result<BridgeTable> bridge_table(const Ruleset& rules, std::span<const Sender> senders) {
  BridgeTable table;
  table.base_chains = {filter(kPrerouting, kHookPrerouting, kBeforeOthers),
                       filter(kInput, kHookInput, kFilter), filter(kForward, kHookForward, kFilter),
                       filter(kOutput, kHookOutput, kFilter)};
  table.chains = {kToMany,   kArpChain,    kIp4Chain,     kIp6Chain,
                  kAskChain, kAnswerChain, kErrors4Chain, kErrors6Chain};
  table.counters = {kSpoofed, kHeaders,   kRouters,      kProtocols,
                    kMany,    kStrangers, kBridgeToHost, kBridgeFromHost};
  const auto set = [&](NftSet one) { table.sets.push_back(std::move(one)); };
  set({.name = kPorts4, .key = {kFieldLink, kFieldMac, kFieldIpv4}});
  set({.name = kPorts6, .key = {kFieldLink, kFieldMac, kFieldIpv6}});
  set({.name = kGroupOf, .key = {kFieldLink}, .marks = true});
  set({.name = kGroupPorts, .key = {kFieldLink, kFieldMark}});
  set({.name = kManyRate, .key = {kFieldLink}, .dynamic = true, .timeout_ms = kManyTimeoutMs});
  set({.name = kGroupRate, .key = {kFieldMark}, .dynamic = true, .timeout_ms = kManyTimeoutMs});
  set({.name = kExtensions, .key = {kFieldProtocol}});
  // As for routed links: headers that put another between IPv6's and the transport's.
  for (const std::uint8_t next :
       std::array<std::uint8_t, 10>{0, 43, 44, 51, 60, 135, 139, 140, 253, 254})
    table.elements[kExtensions].push_back({.key = {next}});

  NftScript script;
  sent_by_ports(script);
  arp(script);
  ip4(script);
  ip6(script);
  to_ports(script);
  PANAL_ASSIGN(table.rules, script.finish());

  // All the trunks there may be: bridges come and go without a change of rules.
  std::set<std::uint32_t> groups;
  for (const CompiledPolicy& policy : rules.policies)
    if (policy.bridged) groups.insert(group_number(policy));
  for (const std::uint32_t group : groups)
    for (unsigned number = 1; number < kMostShards; ++number)
      for (const std::string& end : {trunk_name({group, number}), hub_trunk_name({group, number})})
        add_to_group(table.elements, end, group);
  for (const Sender& sender : senders) {
    PANAL_ASSIGN(auto elements, bridge_elements_of(rules, sender));
    for (auto& [name, some] : elements) {
      auto& all = table.elements[name];
      std::move(some.begin(), some.end(), std::back_inserter(all));
    }
  }
  return table;
}

Result<std::vector<Message>> bridge_contents(const BridgeTable& table) {
  NftScript script;
  for (const std::string& counter : table.counters) script.add(add_counter(kBridge, counter));
  std::uint32_t id = 0;
  for (const NftSet& set : table.sets) script.add(add_set(kBridge, set, ++id));
  for (const std::string& chain : table.chains) script.add(add_chain(kBridge, chain));
  PANAL_ASSIGN(auto messages, script.finish());
  messages.insert(messages.end(), table.rules.begin(), table.rules.end());
  for (const auto& [set, elements] : table.elements) {
    PANAL_TRY(append_elements(messages, NFT_MSG_NEWSETELEM, kBridge, set, elements));
  }
  return messages;
}

Result<std::vector<Message>> new_bridge_table(const BridgeTable& table) {
  NftScript script;
  // Adding first makes the deletion succeed whether the table was there or not.
  script.add(add_table(kBridge)).add(delete_table(kBridge)).add(add_table(kBridge));
  for (const NftBaseChain& chain : table.base_chains) script.add(add_base_chain(kBridge, chain));
  return script.finish();
}

Result<std::vector<Message>> bridge_cut_off(const std::string& name) {
  NftScript script;
  script.add(add_table(kBridge, name));
  for (const auto& chain :
       {filter(kPrerouting, kHookPrerouting, kBeforeAll), filter(kInput, kHookInput, kBeforeAll),
        filter(kForward, kHookForward, kBeforeAll), filter(kOutput, kHookOutput, kBeforeAll)})
    script.add(add_base_chain(kBridge, chain, name));
  return script.finish();
}

}  // namespace panal::netconfine
