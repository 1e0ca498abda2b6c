#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/model/decision.h"
#include "engine/model/ids.h"
#include "engine/policy/merge_domain.h"

namespace panal::policy {

/// What becomes of the memory of a desktop that starts.
enum class MergeAnswer : std::uint8_t {
  kGiven,        ///< it is offered for merging
  kNoConsent,    ///< nobody of its domain has agreed
  kOtherDomain,  ///< another domain's desktops are merged here
  kDraining,     ///< the node waits until the last enlisted desktop is gone
};
/// "given", "no_consent", "other_domain", "draining".
[[nodiscard]] std::string_view to_string(MergeAnswer answer);

/// The desktops of one domain that are to run on this node, also those that do not yet.
struct MergeDemand {
  MergeDomainId id;
  bool agreed = false;
  std::uint32_t desktops = 0;
};

/// Who offers memory on this node: asks the arbiter at each start, and keeps the book that it
/// judges by. A place is kept as long as a process of its desktop may be there: see gone().
/// What a domain is expected to save is its desktops times what one of them saved while its
/// domain was enlisted; a guess, equal for all, until that is known.
class MergePlaces {
 public:
  /// Of one XFCE desktop, between those with randomised addresses (30 MiB) and little ones.
  static constexpr double kGuessBytes = 24.0 * 1024 * 1024;
  /// Never nothing: a domain that has saved little must be able to come back.
  static constexpr double kLeastBytes = 1.0 * 1024 * 1024;

  /// Replaces what was known of all domains' wishes. Of a domain that has asked, what it said then
  /// counts: `agreed` here may be older.
  void demand(const std::vector<MergeDemand>& all);
  /// A desktop is about to start. `agreed`: its domain, by the profile and its tenant.
  [[nodiscard]] MergeAnswer ask(DesktopId id, const MergeDomainId& domain, bool agreed,
                                MonotonicNs now_ns);
  /// It runs; also one that was not asked for.
  void started(DesktopId id, const MergeDomainId& domain, bool enlisted);
  /// It ends or did not start. One that runs again meanwhile is not concerned by the latter.
  void ended(DesktopId id);
  void not_started(DesktopId id);
  /// Those that have ended but may have processes left; tell gone() when they have none.
  [[nodiscard]] std::vector<DesktopId> leaving() const;
  void gone(DesktopId id) { desktops_.erase(id); }

  /// What KSM saves now, of a time at which all enlisted have been scanned. Call it about once a
  /// second.
  void measured(std::int64_t profit_bytes);
  /// Time goes by: rivals are judged by how long they have been worth more.
  MergeDomainDecision look(MonotonicNs now_ns);

  /// Whose desktops are enlisted, or would be.
  [[nodiscard]] const std::optional<MergeDomainId>& holder() const { return holder_; }
  [[nodiscard]] bool draining() const { return last_.draining; }
  [[nodiscard]] std::vector<MergeDomain> domains() const;

 private:
  struct Place {
    MergeDomainId domain;
    bool enlisted = false;
    bool running = false;
    bool leaving = false;
  };
  struct Domain {
    bool agreed = false;
    bool asked = false;
    std::uint32_t wanted = 0;
    std::optional<double> bytes_each;
  };

  MergeDomainArbiter arbiter_;
  std::map<DesktopId, Place> desktops_;
  std::map<MergeDomainId, Domain> domains_;
  std::optional<MergeDomainId> holder_;
  MergeDomainDecision last_;
};

}  // namespace panal::policy
