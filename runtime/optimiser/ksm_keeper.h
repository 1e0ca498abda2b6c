#pragma once

#include <array>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/decision.h"
#include "engine/model/ksm.h"
#include "engine/model/snapshot.h"
#include "runtime/optimiser/ksm_record.h"

namespace panal::optimiser {

/// What the governor turns, by the names that tuning profiles have for it.
inline constexpr std::array<const char*, 5> kGovernedSettings{
    "ksm.advisor_mode", "ksm.use_zero_pages", "ksm.pages_to_scan", "ksm.sleep_millisecs",
    "ksm.run"};

/// Holds the machine's KSM settings while the governor turns them: run, pages_to_scan, sleep,
/// advisor and use_zero_pages; the others are left alone. What they were before the first change is
/// on record (KsmRecord) before anything changes, so that the next panald, of this node or of
/// another, or `panal down` can put them back after a crash. One panald of the machine governs; the
/// others wait. A boot makes a record void.
class KsmKeeper {
 public:
  /// `file`: the record; `lock_file`: as for KsmRecord. `tree` must outlive it.
  KsmKeeper(const Tree& tree, std::string file, std::string lock_file = {})
      : tree_(tree), record_(tree, std::move(file), std::move(lock_file)) {}

  /// Takes over what a panald that was killed has left: its former settings are still the ones to
  /// go back to. Errors: EBUSY when another panald governs: taken_over() then; EPROTO for a damaged
  /// file; EIO.
  [[nodiscard]] Result<void> recover();
  /// Writes what differs from what is set; where nobody is enlisted any more, the former settings,
  /// which stay on record: whatever else of the machine KSM merged goes on. Errors: EBUSY when
  /// somebody else stopped or started KSM meanwhile (`panal tune`, root), or another panald
  /// governs: it is theirs then, and nothing is written until given_back(); EBUSY also while the
  /// machine's lock is another's, and it is tried again the next time; those of write_ksm_settings;
  /// of the file.
  [[nodiscard]] Result<void> apply(const KsmDecision& decision, bool use_zero_pages);
  /// Puts the former settings back and forgets them. What is merged stays merged: to unmerge may
  /// take memory that is not there, and it goes with the desktops. Nothing held is no error.
  /// Errors: EBUSY where the machine's lock was not to be had within 3 s; of writing. The record
  /// stays then.
  [[nodiscard]] Result<void> restore();

  [[nodiscard]] bool holds() const { return former_.has_value(); }
  [[nodiscard]] bool taken_over() const { return taken_over_; }
  /// Whether who took it over has put it back: another panald has ended; or KSM is on or off as it
  /// was left by us, and none of its settings has moved for kQuietFor. Then apply() writes again,
  /// and what is set now is what restore() will put back. That the settings do not move is not
  /// enough: somebody who turned KSM off means it, and never touches it again. Looks once in
  /// kLookEvery; `now_ns` must not fall.
  [[nodiscard]] bool given_back(MonotonicNs now_ns);

  static constexpr MonotonicNs kLookEvery = 60LL * 1'000'000'000;
  static constexpr MonotonicNs kQuietFor = 10 * kLookEvery;  ///< ksmtuned looks once a minute

 private:
  /// Before the first change.
  [[nodiscard]] Result<void> begin();
  [[nodiscard]] Result<void> hold();

  const Tree& tree_;
  KsmRecord record_;
  std::optional<KsmSettings> former_;
  std::optional<KsmSettings> set_;
  bool taken_over_ = false;            ///< by somebody else
  bool by_another_ = false;            ///< who is a panald, and governs
  std::optional<KsmSettings> theirs_;  ///< as last seen
  MonotonicNs theirs_since_ns_ = 0;
  MonotonicNs looked_ns_ = 0;
};

/// The former settings, where a governor that is gone has left its own; nothing where none has, or
/// where we may not look. Errors: EPROTO; EIO.
[[nodiscard]] Result<std::optional<KsmSettings>> left_ksm(const Tree& tree,
                                                          const std::string& record_file);
/// Puts them back. False: nothing was left. Errors: as KsmKeeper::recover() and restore().
[[nodiscard]] Result<bool> restore_left_ksm(const Tree& tree, const std::string& record_file,
                                            const std::string& lock_file);

}  // namespace panal::optimiser
