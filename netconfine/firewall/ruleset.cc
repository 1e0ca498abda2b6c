#include "netconfine/firewall/ruleset.h"

// clang-format off: glibc's headers before linux/*.h, which then leave out what they declare.
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <linux/if_arp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_arp.h>
#include <linux/netfilter_ipv4.h>
// clang-format on

#include <algorithm>
#include <array>
#include <cstring>

#include "netconfine/firewall/nft_rule.h"

namespace panal::netconfine {
namespace {

constexpr std::uint32_t kInet = NFPROTO_INET;
constexpr std::uint32_t kArp = NFPROTO_ARP;

// Lengths and places of the parts of a key; each part fills whole 4-byte registers.
constexpr std::size_t kNameBytes = 16;  // IFNAMSIZ
constexpr std::size_t kMacBytes = 8;    // 6 and 2 of padding
constexpr std::size_t kKey4Bytes = kNameBytes + kMacBytes + 4;
constexpr std::size_t kKey6Bytes = kNameBytes + kMacBytes + 16;

// nft's datatype numbers (its include/datatype.h is their only register); they matter to
// `nft list` alone.
constexpr std::uint32_t kTypeIpv4 = 7, kTypeIpv6 = 8, kTypeMac = 9, kTypeLinkName = 41;
constexpr std::uint32_t concatenated(std::uint32_t address_type) {
  return kTypeLinkName << 12 | kTypeMac << 6 | address_type;
}

// Offsets in the headers (RFC 791, RFC 8200, IEEE 802.3).
constexpr std::uint32_t kMacSourceOffset = 6;
constexpr std::uint32_t kIpv4SourceOffset = 12;
constexpr std::uint32_t kIpv6SourceOffset = 8;

constexpr const char* kPrerouting = "prerouting";
constexpr const char* kInput = "input";
constexpr const char* kForward = "forward";
constexpr const char* kOutput = "output";

// One counter a reason.
constexpr const char* kSpoofed4 = "spoofed_ipv4";
constexpr const char* kSpoofed6 = "spoofed_ipv6";
constexpr const char* kLinkLocal = "link_local";
constexpr const char* kNeighbour = "neighbour_discovery";
constexpr const char* kToHost = "to_host";
constexpr const char* kToDesktop = "to_desktop";
constexpr const char* kToOutside = "to_outside";
constexpr const char* kFromHost = "from_host";
constexpr const char* kArpIn = "arp_in";
constexpr const char* kArpOut = "arp_out";

constexpr std::array<std::uint8_t, 3> kLinkPrefix = {'p', 'n', 'l'};

NftKey key(const Addresses& sender, std::span<const std::uint8_t> address) {
  NftKey bytes(kNameBytes + kMacBytes, 0);
  std::copy_n(sender.link.begin(), std::min(sender.link.size(), kNameBytes - 1), bytes.begin());
  std::copy(sender.mac.begin(), sender.mac.end(), bytes.begin() + kNameBytes);
  bytes.insert(bytes.end(), address.begin(), address.end());
  return bytes;
}

// Collects requests; the first that cannot be built stops it.
class Script {
 public:
  Script& add(Result<Message> message) {
    if (!status_) return *this;
    if (message) {
      messages_.push_back(std::move(*message));
    } else {
      status_ = tl::make_unexpected(std::move(message.error()));
    }
    return *this;
  }
  Result<std::vector<Message>> finish() {
    if (!status_) return tl::make_unexpected(std::move(status_.error()));
    return std::move(messages_);
  }

 private:
  std::vector<Message> messages_;
  Result<void> status_;
};

// `meta nfproto FAMILY` and `meta iiftype ether`: the key's parts are there to be read.
NftRule& of_ethernet(NftRule& rule, std::uint8_t family) {
  return rule.meta(NFT_META_NFPROTO)
      .equals_u8(family)
      .meta(NFT_META_IIFTYPE)
      .equals_u16(ARPHRD_ETHER);
}

NftRule& sender_is_known(NftRule& rule, std::uint32_t offset, std::uint32_t length,
                         const char* set) {
  return rule.meta(NFT_META_IIFNAME)
      .payload(NFT_PAYLOAD_LL_HEADER, kMacSourceOffset, 6, NftRegister::k4)
      .payload(NFT_PAYLOAD_NETWORK_HEADER, offset, length, NftRegister::k6)
      .in_set(set);
}

// Who may send at all. Before conntrack and routing, so that what is dropped costs nearly nothing.
void prerouting(Script& script) {
  NftRule loopback(kInet, kPrerouting);
  loopback.meta(NFT_META_IIFTYPE).equals_u16(ARPHRD_LOOPBACK).accept();
  script.add(loopback.build());

  NftRule sender4(kInet, kPrerouting);
  of_ethernet(sender4, NFPROTO_IPV4);
  sender_is_known(sender4, kIpv4SourceOffset, 4, kSenders4).accept();
  script.add(sender4.build());

  NftRule spoofed4(kInet, kPrerouting);
  spoofed4.meta(NFT_META_NFPROTO).equals_u8(NFPROTO_IPV4).count(kSpoofed4).drop();
  script.add(spoofed4.build());

  // RS, RA, NS, NA and redirect, 133..137 (RFC 4861): neighbours are permanent, nobody asks.
  constexpr std::uint8_t kFirst = ND_ROUTER_SOLICIT;
  constexpr std::uint8_t kLast = ND_REDIRECT;
  NftRule neighbour(kInet, kPrerouting);
  neighbour.meta(NFT_META_NFPROTO).equals_u8(NFPROTO_IPV6);
  neighbour.meta(NFT_META_L4PROTO).equals_u8(IPPROTO_ICMPV6);
  neighbour.payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1)
      .compare(NFT_CMP_GTE, std::span(&kFirst, 1))
      .compare(NFT_CMP_LTE, std::span(&kLast, 1));
  script.add(neighbour.count(kNeighbour).drop().build());

  // fe80::/10. Not an attack by itself (every Linux reports its multicast groups so when a link
  // comes up), hence a counter apart.
  constexpr std::array<std::uint8_t, 2> kMask = {0xff, 0xc0};
  constexpr std::array<std::uint8_t, 2> kPrefix = {0xfe, 0x80};
  NftRule link_local(kInet, kPrerouting);
  link_local.meta(NFT_META_NFPROTO).equals_u8(NFPROTO_IPV6);
  link_local.payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv6SourceOffset, 2)
      .mask(kMask)
      .compare(NFT_CMP_EQ, kPrefix);
  script.add(link_local.count(kLinkLocal).drop().build());

  NftRule sender6(kInet, kPrerouting);
  of_ethernet(sender6, NFPROTO_IPV6);
  sender_is_known(sender6, kIpv6SourceOffset, 16, kSenders6).accept();
  script.add(sender6.build());

  NftRule spoofed6(kInet, kPrerouting);
  spoofed6.meta(NFT_META_NFPROTO).equals_u8(NFPROTO_IPV6).count(kSpoofed6).drop();
  script.add(spoofed6.build());
}

void local_and_forward(Script& script) {
  NftRule loopback_in(kInet, kInput);
  loopback_in.meta(NFT_META_IIFTYPE).equals_u16(ARPHRD_LOOPBACK).accept();
  script.add(loopback_in.build());
  NftRule to_host(kInet, kInput);
  script.add(to_host.count(kToHost).drop().build());

  NftRule to_desktop(kInet, kForward);
  to_desktop.meta(NFT_META_OIFNAME).compare(NFT_CMP_EQ, kLinkPrefix).count(kToDesktop).drop();
  script.add(to_desktop.build());
  NftRule to_outside(kInet, kForward);
  script.add(to_outside.count(kToOutside).drop().build());

  NftRule loopback_out(kInet, kOutput);
  loopback_out.meta(NFT_META_OIFTYPE).equals_u16(ARPHRD_LOOPBACK).accept();
  script.add(loopback_out.build());
  NftRule from_host(kInet, kOutput);
  script.add(from_host.count(kFromHost).drop().build());
}

}  // namespace

NftKey sender_key4(const Addresses& sender) { return key(sender, sender.ipv4); }
NftKey sender_key6(const Addresses& sender) { return key(sender, sender.ipv6); }

std::string link_of_key(const NftKey& key) {
  const auto end = key.begin() + static_cast<std::ptrdiff_t>(std::min(key.size(), kNameBytes));
  return {key.begin(), std::find(key.begin(), end, 0)};
}

Result<void> append_elements(std::vector<Message>& messages, int type,
                             const std::vector<Addresses>& senders) {
  for (std::size_t first = 0; first < senders.size(); first += kElementsPerMessage) {
    const std::size_t last = std::min(first + kElementsPerMessage, senders.size());
    std::vector<NftKey> keys4, keys6;
    for (std::size_t i = first; i < last; ++i) {
      keys4.push_back(sender_key4(senders[i]));
      keys6.push_back(sender_key6(senders[i]));
    }
    PANAL_ASSIGN(auto message4, change_elements(type, kInet, kSenders4, keys4));
    PANAL_ASSIGN(auto message6, change_elements(type, kInet, kSenders6, keys6));
    messages.push_back(std::move(message4));
    messages.push_back(std::move(message6));
  }
  return {};
}

Result<std::vector<Message>> ruleset(const std::vector<Addresses>& senders) {
  Script script;
  for (const std::uint32_t family : {kInet, kArp}) {
    // Adding first makes the deletion succeed whether the table was there or not.
    script.add(add_table(family)).add(delete_table(family)).add(add_table(family));
  }
  for (const char* reason :
       {kSpoofed4, kSpoofed6, kLinkLocal, kNeighbour, kToHost, kToDesktop, kToOutside, kFromHost}) {
    script.add(add_counter(kInet, reason));
  }
  for (const char* reason : {kArpIn, kArpOut}) script.add(add_counter(kArp, reason));
  script.add(add_set(kInet, {kSenders4, concatenated(kTypeIpv4), kKey4Bytes, 1}));
  script.add(add_set(kInet, {kSenders6, concatenated(kTypeIpv6), kKey6Bytes, 2}));
  script.add(add_base_chain(kInet, {kPrerouting, NF_INET_PRE_ROUTING, NF_IP_PRI_RAW}));
  script.add(add_base_chain(kInet, {kInput, NF_INET_LOCAL_IN, NF_IP_PRI_FILTER}));
  script.add(add_base_chain(kInet, {kForward, NF_INET_FORWARD, NF_IP_PRI_FILTER}));
  script.add(add_base_chain(kInet, {kOutput, NF_INET_LOCAL_OUT, NF_IP_PRI_FILTER}));
  script.add(add_base_chain(kArp, {kInput, NF_ARP_IN, NF_IP_PRI_FILTER}));
  script.add(add_base_chain(kArp, {kOutput, NF_ARP_OUT, NF_IP_PRI_FILTER}));
  prerouting(script);
  local_and_forward(script);
  NftRule arp_in(kArp, kInput);
  script.add(arp_in.count(kArpIn).drop().build());
  NftRule arp_out(kArp, kOutput);
  script.add(arp_out.count(kArpOut).drop().build());

  PANAL_ASSIGN(auto messages, script.finish());
  PANAL_TRY(append_elements(messages, NFT_MSG_NEWSETELEM, senders));
  return messages;
}

}  // namespace panal::netconfine
