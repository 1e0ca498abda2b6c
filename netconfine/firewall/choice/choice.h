#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "netconfine/firewall/backend.h"

namespace panal::netconfine {

/// The setting `backend` of [network].
enum class FirewallChoice : std::uint8_t { kAuto, kNftables, kIptables };

/// "auto", "nftables", "iptables". Errors: EINVAL with a sentence.
[[nodiscard]] Result<FirewallChoice> parse_firewall_choice(const std::string& text);
[[nodiscard]] const char* to_string(FirewallChoice choice);

/// One way to have rules.
struct FirewallWay {
  std::function<Result<std::unique_ptr<FirewallBackend>>()> open;
  /// Takes what this way has left in the network namespace out of it.
  std::function<Result<void>()> clear;
};

struct ChosenFirewall {
  std::unique_ptr<FirewallBackend> backend;
  std::string why;  ///< one sentence, for log, status and doctor
};

/// Opens the backend that is asked for. kAuto takes nftables, whose costs do not grow, and iptables
/// only where nftables cannot be had; it says why. What the other one has left behind (the setting
/// was changed, or the kernel) goes once the first rules are in force: between the two both hold,
/// so that nothing is let through that either forbids.
/// Errors: those of `open`; with kAuto EPROTONOSUPPORT with both sentences.
[[nodiscard]] Result<ChosenFirewall> choose_firewall(FirewallChoice choice,
                                                     const FirewallWay& nftables,
                                                     const FirewallWay& iptables);

}  // namespace panal::netconfine
