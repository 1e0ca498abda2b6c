#include "netconfine/firewall/nft/policy_chains.h"

// clang-format off: glibc's headers before linux/*.h, which then leave out what they declare.
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
// clang-format on

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "netconfine/log/packet_log.h"

namespace panal::netconfine {
namespace {

constexpr std::uint32_t kInet = NFPROTO_INET;
constexpr std::uint64_t kMinuteMs = 60'000;

// FNV-1a.
class Digest {
 public:
  void add(std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) {
      digest_ = (digest_ ^ static_cast<std::uint8_t>(value >> byte * 8)) * 16777619U;
    }
  }
  void add(const std::string& text) {
    add(text.size());
    for (const char c : text) add(static_cast<std::uint64_t>(static_cast<unsigned char>(c)));
  }
  void add(const std::vector<Allow>& lines) {
    add(lines.size());
    for (const Allow& line : lines) {
      add(line.service);
      add(line.peer.v6);
      for (const std::uint8_t byte : line.peer.bytes) add(byte);
      add(line.peer.length);
      add(line.except);
      add(static_cast<std::uint64_t>(line.protocol));
      add(line.ports.first);
      add(line.ports.last);
    }
  }
  [[nodiscard]] std::uint32_t value() const { return digest_ == 0 ? 1 : digest_; }

 private:
  std::uint32_t digest_ = 2166136261U;
};

std::string chain_name(const CompiledPolicy& policy, const char* part) {
  return fmt::format("p{:08x}_{}_{}", number_of(policy), policy.name, part);
}

// As number_of(), for groups.
std::string group_set(const CompiledPolicy& policy) {
  Digest digest;
  digest.add(policy.group_name.empty() ? std::to_string(policy.group) : policy.group_name);
  digest.add(policy.tenant);
  return fmt::format("group_{:08x}", digest.value());
}

std::uint32_t connections_of(const CompiledPolicy& policy) {
  const std::uint32_t wanted = policy.limits.connections;
  return wanted == 0 ? kMostConnections : std::min(wanted, kMostConnections);
}

NftRule rule_in(const std::string& chain) { return {kInet, chain}; }

NftRule& in_state(NftRule& rule, std::uint32_t bits) {
  return rule.connection(NFT_CT_STATE).any_of(bits);
}

constexpr std::uint32_t kStateNew = NF_CT_STATE_BIT(IP_CT_NEW);
constexpr std::uint32_t kStateInvalid = NF_CT_STATE_INVALID_BIT;

// Writes one policy's chains.
class Writer {
 public:
  Writer(NftScript& script, ServiceSets& services, const Ruleset& rules,
         const CompiledPolicy& policy)
      : script_(script),
        services_(services),
        policy_(policy),
        chains_(chains_of(policy)),
        mark_(connection_mark(rules, policy)),
        opens_(chain_name(policy, "opens")),
        opened_(chain_name(policy, "opened")),
        reach_(chain_name(policy, "reach")),
        reached_(chain_name(policy, "reached")),
        // With their numbers: what is counted towards one is not kept for another.
        rate_(fmt::format("{}_{}", chain_name(policy, "rate"),
                          policy.limits.new_connections_per_second)),
        connections_(
            fmt::format("{}_{}", chain_name(policy, "connections"), connections_of(policy))) {}

  // A connection that was allowed goes on by its mark: one lookup, however long the policy. One
  // that the policy has not allowed yet is looked at as its opener meant it, in both directions.
  void outside() {
    to_and_fro(chains_.out, reach_, reached_, NFT_META_IIFNAME);
    to_and_fro(chains_.in, reached_, reach_, NFT_META_OIFNAME);
    services(reach_, policy_.reach, true, opens_);
    services(reached_, policy_.reached_by, false, opened_);
    parts_.chains.insert(parts_.chains.end(), {chains_.out, chains_.in, reach_, reached_, opened_});
    admit(opened_, NFT_META_OIFNAME, 0);
  }

  void peers() {
    const std::string mates = chain_name(policy_, "mates");
    script_.add(rule_in(chains_.peers).meta(NFT_META_OIFNAME).in_set(chains_.group).go_to(mates));
    refuse(chains_.peers, NFT_META_IIFNAME, kToDesktop);
    script_.add(rule_in(mates).connection(NFT_CT_MARK).equals_u32(mark_).accept());
    // Nothing of no connection goes on to limits that count connections only. (Outside, services
    // are looked up by what the connection's opener wrote.)
    drop_invalid(mates);
    script_.add(rule_in(mates).go_to(opens_));
    parts_.chains.insert(parts_.chains.end(), {chains_.peers, mates});
  }

  PolicyParts finish() {
    admit(opens_, NFT_META_IIFNAME, policy_.limits.new_connections_per_second);
    parts_.chains.push_back(opens_);
    parts_.sets.push_back({.name = connections_, .key = {kFieldLink}, .dynamic = true});
    return std::move(parts_);
  }

 private:
  void to_and_fro(const std::string& chain, const std::string& forth, const std::string& back,
                  std::uint32_t link) {
    script_.add(rule_in(chain).connection(NFT_CT_MARK).equals_u32(mark_).accept());
    script_.add(
        rule_in(chain).connection(NFT_CT_DIRECTION).equals_u8(IP_CT_DIR_ORIGINAL).jump(forth));
    script_.add(rule_in(chain).connection(NFT_CT_DIRECTION).equals_u8(IP_CT_DIR_REPLY).jump(back));
    refuse(chain, link, kDenied);
  }

  // One rule for each service and family.
  void services(const std::string& chain, std::span<const Allow> lines, bool by_destination,
                const std::string& then) {
    while (!lines.empty()) {
      const auto end = std::find_if(lines.begin(), lines.end(), [&](const Allow& line) {
        return line.service != lines.front().service;
      });
      const auto count = static_cast<std::size_t>(end - lines.begin());
      for (const ServiceUse& use : services_.use(lines.first(count))) {
        NftRule rule(kInet, chain);
        const std::uint32_t key4 = by_destination ? NFT_CT_DST_IP : NFT_CT_SRC_IP;
        const std::uint32_t key6 = by_destination ? NFT_CT_DST_IP6 : NFT_CT_SRC_IP6;
        // The kernel goes no further where the connection is of the other family.
        rule.opened(use.v6 ? key6 : key4)
            .connection(NFT_CT_PROTOCOL, use.v6 ? NftRegister::k4 : NftRegister::k1)
            .opened(NFT_CT_PROTO_DST, use.v6 ? NftRegister::k5 : NftRegister::k2);
        if (!use.except.empty()) rule.not_in_set(use.except);
        script_.add(rule.in_set(use.set).go_to(then));
      }
      lines = lines.subspan(count);
    }
  }

  // A connection's first packet is held to the limits; all are let through.
  void admit(const std::string& chain, std::uint32_t link, std::uint32_t per_second) {
    if (per_second != 0) {
      NftRule rate(kInet, chain);
      in_state(rate, kStateNew).meta(link).rate(rate_, true, per_second, per_second);
      script_.add(rate.count(kOverRate).drop());
      parts_.sets.push_back(
          {.name = rate_, .key = {kFieldLink}, .dynamic = true, .timeout_ms = kMinuteMs});
    }
    NftRule connections(kInet, chain);
    in_state(connections, kStateNew)
        .meta(link)
        .over_connections(connections_, connections_of(policy_));
    script_.add(connections.count(kOverConnections).drop());
    if (policy_.log == NetLog::kAll) log(chain, link, "allowed", kStateNew);
    script_.add(rule_in(chain).set_connection_mark(mark_).accept());
  }

  void drop_invalid(const std::string& chain) {
    NftRule invalid(kInet, chain);
    script_.add(in_state(invalid, kStateInvalid).count(kInvalid).drop());
  }

  void refuse(const std::string& chain, std::uint32_t link, const char* counter) {
    drop_invalid(chain);
    if (policy_.log != NetLog::kNone) log(chain, link, "denied", 0);
    script_.add(rule_in(chain).count(counter).drop());
  }

  void log(const std::string& chain, std::uint32_t link, const char* what, std::uint32_t state) {
    NftRule rule(kInet, chain);
    if (state != 0) in_state(rule, state);
    rule.meta(link).rate(kLogRate, false, kLogPerSecond, kLogBurst);
    script_.add(rule.log(kPacketLogGroup, fmt::format("panal {} {} ", what, policy_.name)));
  }

  NftScript& script_;
  ServiceSets& services_;
  const CompiledPolicy& policy_;
  const PolicyChains chains_;
  const std::uint32_t mark_;
  const std::string opens_, opened_, reach_, reached_, rate_, connections_;
  PolicyParts parts_;
};

}  // namespace

PolicyChains chains_of(const CompiledPolicy& policy) {
  PolicyChains chains{.out = chain_name(policy, "out"), .in = chain_name(policy, "in")};
  if (policy.group != 0) {
    chains.peers = chain_name(policy, "peers");
    chains.group = group_set(policy);
  }
  return chains;
}

std::uint32_t number_of(const CompiledPolicy& policy) {
  Digest digest;
  digest.add(policy.name);
  digest.add(policy.tenant);
  return digest.value();
}

std::uint32_t connection_mark(const Ruleset& rules, const CompiledPolicy& policy) {
  Digest digest;
  digest.add(rules.uplink);
  digest.add(static_cast<std::uint64_t>(rules.masquerade));
  digest.add(policy.reach);
  digest.add(policy.reached_by);
  return digest.value();
}

PolicyParts add_policy(NftScript& script, ServiceSets& services, const Ruleset& rules,
                       const CompiledPolicy& policy) {
  Writer writer(script, services, rules, policy);
  if (!rules.uplink.empty()) writer.outside();
  if (policy.group != 0) writer.peers();
  if (rules.uplink.empty() && policy.group == 0) return {};
  return writer.finish();
}

}  // namespace panal::netconfine
