#include "netconfine/firewall/nft/services.h"

#include <netinet/in.h>

#include <algorithm>
#include <set>

namespace panal::netconfine {
namespace {

// What a line allows besides addresses. Conntrack keeps type and code of an ICMP message where
// others have the destination's port.
struct Traffic3 {
  std::uint8_t first_protocol = 0, last_protocol = 255;
  std::uint16_t first_port = 0, last_port = 0xffff;
};

constexpr std::uint16_t kEcho4 = 8 << 8, kEcho6 = 128 << 8;

Traffic3 traffic_of(const Allow& line) {
  const PortRange& ports = line.ports;
  switch (line.protocol) {
    case Protocol::kTcp: return {IPPROTO_TCP, IPPROTO_TCP, ports.first, ports.last};
    case Protocol::kUdp: return {IPPROTO_UDP, IPPROTO_UDP, ports.first, ports.last};
    case Protocol::kIcmp:
      if (line.peer.v6) return {IPPROTO_ICMPV6, IPPROTO_ICMPV6, kEcho6, kEcho6};
      return {IPPROTO_ICMP, IPPROTO_ICMP, kEcho4, kEcho4};
    case Protocol::kAny: break;
  }
  return {};
}

// The first or the last address of a prefix.
NftKey address_of(const Prefix& prefix, bool last) {
  NftKey bytes(prefix.bytes.begin(), prefix.bytes.begin() + (prefix.v6 ? 16 : 4));
  for (std::size_t bit = prefix.length; last && bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | 0x80U >> bit % 8);
  }
  return bytes;
}

NftKey key_of(NftKey address, std::uint8_t protocol, std::uint16_t port) {
  address.insert(address.end(), {protocol, 0, 0, 0, static_cast<std::uint8_t>(port >> 8),
                                 static_cast<std::uint8_t>(port), 0, 0});
  return address;
}

NftElement element_of(const Prefix& peer, const Traffic3& traffic) {
  return {.key = key_of(address_of(peer, false), traffic.first_protocol, traffic.first_port),
          .last = key_of(address_of(peer, true), traffic.last_protocol, traffic.last_port)};
}

// The kernel refuses a range inside another: where everything is allowed, nothing else is said.
std::vector<NftElement> elements_of(std::span<const Allow> lines, bool v6, bool except) {
  std::set<Prefix> whole;
  for (const Allow& line : lines) {
    if (line.except == except && (except || line.protocol == Protocol::kAny)) {
      whole.insert(line.peer);
    }
  }
  std::set<NftElement> elements;
  for (const Allow& line : lines) {
    if (line.except != except || line.peer.v6 != v6) continue;
    elements.insert(
        element_of(line.peer, whole.contains(line.peer) ? Traffic3{} : traffic_of(line)));
  }
  return {elements.begin(), elements.end()};
}

}  // namespace

// The name, or another like it where a policy's service of that name has other lines.
std::string ServiceSets::share(const std::string& name, std::vector<NftElement> elements) {
  std::string candidate = name;
  for (int n = 2;; ++n) {
    const auto [found, added] = elements_.try_emplace(candidate, elements);
    if (added || found->second == elements) return candidate;
    candidate = name + "_" + std::to_string(n);
  }
}

std::vector<ServiceUse> ServiceSets::use(std::span<const Allow> lines) {
  std::vector<ServiceUse> uses;
  if (lines.empty()) return uses;
  for (const bool v6 : {false, true}) {
    auto allowed = elements_of(lines, v6, false);
    if (allowed.empty()) continue;
    const std::string name = "service_" + lines.front().service + (v6 ? "6" : "4");
    ServiceUse use{.v6 = v6, .set = share(name, std::move(allowed)), .except = {}};
    auto except = elements_of(lines, v6, true);
    if (!except.empty()) use.except = share(name + "_not", std::move(except));
    uses.push_back(std::move(use));
  }
  return uses;
}

std::vector<NftSet> ServiceSets::sets() const {
  std::vector<NftSet> sets;
  for (const auto& [name, elements] : elements_) {
    const bool v6 = elements.front().key.size() > 12;
    sets.push_back({.name = name,
                    .key = {v6 ? kFieldIpv6 : kFieldIpv4, kFieldProtocol, kFieldPort},
                    .ranges = true});
  }
  return sets;
}

}  // namespace panal::netconfine
