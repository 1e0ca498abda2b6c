#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/firewall/firewall.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// One place where the kernel does not have what was meant.
struct Drift {
  std::string where;  ///< "set inet panal senders4", "chain filter PANAL-FORWARD"
  std::string what;   ///< "misses pnl7", "has a rule that is not ours"
  [[nodiscard]] bool operator==(const Drift&) const = default;
};

/// The rules of Panal's network namespace by one of the kernel's ways. Everything is dropped that
/// the Ruleset does not allow, and every sender is held to its link, MAC and addresses. The cost of
/// a packet, and of putting or removing a desktop, does not depend on how many there are.
/// At no moment, killed at any point included, is anything let through that neither the old nor the
/// new rules allow. Replies of what was allowed, and only those, are let back (conntrack).
/// Not thread-safe; for the network namespace of the thread that opened it.
class FirewallBackend {
 public:
  virtual ~FirewallBackend() = default;
  /// "nftables" or "iptables".
  [[nodiscard]] virtual const char* name() const = 0;
  /// Whether it holds what passes the bridges of groups to its sender. Rules with such a group are
  /// for those backends only that do.
  [[nodiscard]] virtual bool bridges() const { return false; }
  /// Replaces all rules. Counters begin at 0; connections that are still allowed go on.
  [[nodiscard]] virtual Result<void> load(const Ruleset& rules,
                                          const std::vector<Sender>& senders) = 0;
  /// Adds senders, or gives those that are there another policy; one batch.
  [[nodiscard]] virtual Result<void> put(std::span<const Sender> senders) = 0;
  /// Those that are not there are not an error. Their connections end.
  [[nodiscard]] virtual Result<void> remove(std::span<const Addresses> senders) = 0;
  /// Links that have entries.
  [[nodiscard]] virtual Result<std::vector<std::string>> links() = 0;
  [[nodiscard]] virtual Result<std::vector<DropCounter>> drops() = 0;
  /// What the kernel has, compared with what load(), put() and remove() have meant. Empty: equal.
  [[nodiscard]] virtual Result<std::vector<Drift>> audit() = 0;
  /// A descriptor that becomes readable when somebody may have changed rules, ourselves included;
  /// audit() reads it empty. -1 where the kernel does not tell: then ask often.
  [[nodiscard]] virtual int changes() const { return -1; }
  /// Drops everything, with the least that can fail: for when drift cannot be repaired.
  [[nodiscard]] virtual Result<void> cut_off() = 0;
};

/// Errors: EPERM, EPROTONOSUPPORT where the kernel lacks it (iptables: or the programs are
/// missing), with a sentence that says what to use.
[[nodiscard]] Result<std::unique_ptr<FirewallBackend>> open_nftables_backend();
[[nodiscard]] Result<std::unique_ptr<FirewallBackend>> open_iptables_backend();

}  // namespace panal::netconfine
