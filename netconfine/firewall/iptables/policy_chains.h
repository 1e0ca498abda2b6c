#pragma once

#include <cstdint>
#include <string>

#include "netconfine/firewall/iptables/tables.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// What the chains of all policies have in common.
struct PolicyWords {
  bool v6 = false;
  std::string uplink;  ///< "": no way out
};

/// The netlink log that refused packets (and new connections) are told to.
inline constexpr unsigned kNflogGroup = 77;
/// Connections that one desktop may have open where its policy does not say: with fewer than 64 at
/// it nobody fills the smallest table Linux makes on 4 GiB (262,144).
inline constexpr std::uint32_t kMostOpen = 4096;

/// Where the first packets that a desktop sends go: PANAL-SEND-<policy>.
[[nodiscard]] std::string sending_chain(std::uint32_t policy);
/// Where those of them that are allowed are held to the limits: PANAL-OPEN-<policy>.
[[nodiscard]] std::string opening_chain(std::uint32_t policy);
/// Where a packet to another desktop finds out whether that is of the policy's group:
/// PANAL-MATE-<policy>.
[[nodiscard]] std::string mates_chain(std::uint32_t policy);
/// Where the first packets from outside to a desktop go: PANAL-BY-<policy>.
[[nodiscard]] std::string reached_chain(std::uint32_t policy);

/// Adds what a policy's desktops may send, but for mates_chain(). Packets to other desktops that
/// it does not allow come back.
void add_sending_chains(RuleTable& table, const PolicyWords& words, const CompiledPolicy& policy);
/// Adds what may reach a policy's desktops from outside.
void add_reached_chains(RuleTable& table, const PolicyWords& words, const CompiledPolicy& policy);

/// The rate that the kernel's hashlimit makes of `per_second`: it counts in whole microseconds
/// a packet. 1..1,000,000.
[[nodiscard]] std::uint32_t hashlimit_rate(std::uint32_t per_second);

}  // namespace panal::netconfine
