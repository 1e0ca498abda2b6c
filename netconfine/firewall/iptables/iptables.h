#pragma once

#include <memory>

#include "engine/base/result.h"
#include "netconfine/firewall/backend.h"
#include "netconfine/firewall/iptables/toolset.h"

namespace panal::netconfine {

struct IptablesOptions {
  IptablesVariant variant = IptablesVariant::kSystem;
  bool sets = true;  ///< use ipset where it can be had
};

/// iptables and ip6tables (and arptables, ipset where they are), run as programs; for the network
/// namespace of the calling thread, whose tables are then all Panal's. With ipset a packet costs
/// the same however many desktops there are, and putting one changes no table; without, a packet
/// costs some 6 rules for each digit of the desktop's number, and putting one costs what
/// iptables-restore needs for the table.
/// Errors: EPROTONOSUPPORT with a sentence when the programs are missing or the kernel has no
/// tables for them; EPERM; EINVAL in the machine's own namespace (that of process 1).
[[nodiscard]] Result<std::unique_ptr<FirewallBackend>> open_iptables_backend(
    const IptablesOptions& options);

/// Takes everything of iptables, ip6tables and arptables, and our sets, out of the calling thread's
/// network namespace, in both variants: for after another backend's rules are in force. Programs
/// that are missing have left nothing behind. Touches nothing in the machine's own namespace, where
/// nothing of ours can be.
[[nodiscard]] Result<void> clear_iptables();

}  // namespace panal::netconfine
