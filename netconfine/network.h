#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/model/ids.h"
#include "engine/model/session.h"
#include "netconfine/bridge/groups.h"
#include "netconfine/firewall/backend.h"
#include "netconfine/policy/compiled.h"
#include "netconfine/qos/qos.h"

namespace panal::netconfine {

/// Prefixes that desktops' addresses are taken from; desktop n has the n-th address.
struct AddressPlan {
  std::string subnet4;   ///< CIDR, e.g. 10.77.0.0/16
  std::string subnet6;   ///< CIDR, at most /96
  LineLimits line = {};  ///< what all desktops of the node together may send and receive
};

/// One desktop's link as the kernel has it.
struct Link {
  DesktopId id = 0;
  std::string name;      ///< "pnl7", in Panal's network namespace
  std::string address4;  ///< the desktop's own, without prefix length
  std::string address6;
  std::string mac;  ///< the desktop's
};

/// What an audit found, and what it did about it.
struct AuditReport {
  enum class Outcome : std::uint8_t {
    kAsMeant,   ///< nothing was different
    kRepaired,  ///< and found to be as meant afterwards
    kCutOff,    ///< could not be repaired: every desktop is cut off until a later audit can
  };
  Outcome outcome = Outcome::kAsMeant;
  std::vector<Drift> drifts;  ///< what was different
  std::string why;            ///< it could not be repaired, or looked at
  /// It has looked at something besides of whose changes Network::changes() tells nothing: links.
  bool untold = false;
};

using OpenBackend = std::function<Result<std::unique_ptr<FirewallBackend>>()>;

/// The desktops' network: a namespace of its own, one routed point-to-point veth a desktop, rules
/// whose cost does not depend on the number of desktops.
/// All calls act inside the namespace whose descriptor open() was given; the calling thread's
/// namespace is not changed. Thread-safe.
class Network {
 public:
  /// Loads rules that allow nothing (default drop), with an entry for each link that is already
  /// there, and sets the namespace's sysctls. Links that are down (an earlier process cut everybody
  /// off and ended) come up then. `open_backend` is called inside the namespace.
  /// Errors: EPERM, EPROTONOSUPPORT where the kernel lacks the backend, EINVAL for a bad plan.
  [[nodiscard]] static Result<std::unique_ptr<Network>> open(
      UniqueFd network_namespace, const AddressPlan& plan, LoggerPtr log,
      const OpenBackend& open_backend = open_nftables_backend);
  /// The same with rules in force from the first moment, as set_rules() takes them: what a restart
  /// uses, so that connections of running desktops go on. `namespace_of`: how desktops are found
  /// that are to join their group's bridge after attach(); none: those wait for their next start.
  [[nodiscard]] static Result<std::unique_ptr<Network>> open(
      UniqueFd network_namespace, const AddressPlan& plan, LoggerPtr log,
      const OpenBackend& open_backend, const Ruleset& rules,
      const std::map<DesktopId, std::uint32_t>& policies, NamespaceOf namespace_of = {});
  virtual ~Network() = default;

  /// Gives the network namespace `desktop_namespace` its link: eth0 with addresses, routes and
  /// static neighbours on both ends; lo up; the desktop's elements in the rules' sets. Rules come
  /// first, link up last. Where its policy's group has a bridge, it is put on it, by eth1. On error
  /// nothing is left. Errors: EEXIST (an eth0 or eth1 of its own among it), ENOSPC (prefix or
  /// bridges used up), EAGAIN while every desktop is cut off.
  [[nodiscard]] virtual Result<Link> attach(DesktopId id, const UniqueFd& desktop_namespace) = 0;
  /// Removes link and set elements. Not attached is not an error.
  [[nodiscard]] virtual Result<void> detach(DesktopId id) = 0;
  /// Links the kernel has, found by name.
  [[nodiscard]] virtual Result<std::vector<Link>> links() = 0;
  /// Detaches all that is not in `live`.
  [[nodiscard]] virtual Result<void> recover(const std::set<DesktopId>& live) = 0;
  /// Puts rules in force, for all links at once: `policies` says which of them a desktop has,
  /// attached or not yet (absent or 0: nothing is allowed). Until the first call nothing is
  /// allowed. On error what was in force stays, or everybody is cut off until an audit can put it
  /// in force again. A policy with rates needs a kernel that can shape; one whose group has a
  /// bridge needs a backend that can hold what passes it (EOPNOTSUPP): its desktops join, and
  /// leave, live. Who cannot join reaches its mates by address alone, and is tried again.
  [[nodiscard]] virtual Result<void> set_rules(const Ruleset& rules,
                                               const std::map<DesktopId, std::uint32_t>& policies) {
    (void)rules, (void)policies;
    return {};
  }
  /// Gives one desktop another policy of the rules in force, live where it is attached; attach()
  /// takes what was said last.
  [[nodiscard]] virtual Result<void> set_policy(DesktopId id, std::uint32_t policy) {
    (void)id, (void)policy;
    return {};
  }
  /// Several at once, in hardly more time than one. What fails does not keep the others from going.
  [[nodiscard]] virtual Result<void> detach_all(std::span<const DesktopId> ids) {
    Result<void> result;
    for (const DesktopId id : ids) {
      auto detached = detach(id);
      if (!detached && result) result = std::move(detached);
    }
    return result;
  }
  /// What went through the rates of desktops that have some, since they were attached.
  [[nodiscard]] virtual Result<std::vector<ShapeUse>> rates() { return std::vector<ShapeUse>{}; }
  /// How much somebody is at a desktop: whose packets come first where rates are shared. What is
  /// said of one that is not attached holds once it is.
  [[nodiscard]] virtual Result<void> set_session(DesktopId id, SessionClass session) {
    (void)id, (void)session;
    return {};
  }
  /// Compares what the kernel has with what is meant. What is different is repaired, and looked at
  /// again; where that fails, every desktop is cut off (by rules, or else by its link) rather than
  /// left open. Logs what it finds. AuditLoop calls it.
  [[nodiscard]] virtual AuditReport audit() { return {}; }
  /// A descriptor that becomes readable when rules may have changed; -1: audit often. Of changes to
  /// groups' bridges it tells nothing.
  [[nodiscard]] virtual int changes() { return -1; }
  /// What the rules dropped, by reason, since they were loaded.
  [[nodiscard]] virtual Result<std::vector<DropCounter>> drops() {
    return std::vector<DropCounter>{};
  }
};

}  // namespace panal::netconfine
