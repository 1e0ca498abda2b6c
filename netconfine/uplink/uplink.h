#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/firewall/backend.h"
#include "netconfine/uplink/uplink_plan.h"

namespace panal::netconfine {

/// The way out of Panal's network namespace. Whether packets are forwarded there at all, and which,
/// is the firewall's and Network's matter (Ruleset::uplink = kUplinkName), and is so before up() is
/// called. Whatever an earlier process, or an earlier configuration, has left is found by name and
/// taken over or taken down; nothing is doubled. Not thread-safe.
class Uplink {
 public:
  /// Changes nothing. `host`: the namespace that has the card or forwards. Errors: EPERM.
  [[nodiscard]] static Result<std::unique_ptr<Uplink>> open(UniqueFd host, UniqueFd panal,
                                                            UplinkPlan plan, LoggerPtr log);
  virtual ~Uplink() = default;

  /// Everything that up() would do now to the host, as a person would type it, in order: what
  /// `--dry-run` shows. Lines that begin with "#" are for people.
  [[nodiscard]] virtual Result<std::vector<std::string>> describe() = 0;
  /// Makes it as planned, or, with "none", takes away what there was. When it fails all of it is
  /// taken down: there is no half an uplink.
  /// Errors: ENODEV (no such device), EBUSY (a card the host needs), EEXIST (a name or a prefix is
  /// taken), ENOENT (nft is not installed), EPROTO (what it said).
  [[nodiscard]] virtual Result<void> up() = 0;
  /// Nothing goes out any more; the host has back what it had: the card, its settings, its rules.
  [[nodiscard]] virtual Result<void> down() = 0;
  /// What is there, compared with what up() has made. Empty: equal. up() repairs it.
  [[nodiscard]] virtual Result<std::vector<Drift>> audit() = 0;
  /// Takes the link down, and has the host forward by its device no more where it did not before,
  /// with the least that can fail: for when drift cannot be repaired. up() undoes it.
  [[nodiscard]] virtual Result<void> cut_off() = 0;
};

}  // namespace panal::netconfine
