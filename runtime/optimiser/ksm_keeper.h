#pragma once

#include <array>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/decision.h"
#include "engine/model/ksm.h"
#include "engine/model/snapshot.h"

namespace panal::optimiser {

/// What the governor turns, by the names that tuning profiles have for it.
inline constexpr std::array<const char*, 5> kGovernedSettings{
    "ksm.advisor_mode", "ksm.use_zero_pages", "ksm.pages_to_scan", "ksm.sleep_millisecs",
    "ksm.run"};

/// Holds the machine's KSM settings while the governor turns them: run, pages_to_scan, sleep,
/// advisor and use_zero_pages; the others are left alone. What they were before the first change is
/// on disk before anything changes, so that the next panald can put them back after a crash. A boot
/// makes such a record void.
class KsmKeeper {
 public:
  /// `file`: where the former settings are kept. `tree` must outlive it.
  KsmKeeper(const Tree& tree, std::string file) : tree_(tree), file_(std::move(file)) {}

  /// Takes over what a panald that was killed has left: its former settings are still the ones to
  /// go back to. Errors: EPROTO for a damaged file; EIO.
  [[nodiscard]] Result<void> recover();
  /// Writes what differs from what is set. Errors: EBUSY when somebody else stopped or started KSM
  /// meanwhile (`panal tune`, root): it is theirs then, and nothing is written until given_back();
  /// those of write_ksm_settings; of the file.
  [[nodiscard]] Result<void> apply(const KsmDecision& decision, bool use_zero_pages);
  /// Puts the former settings back and forgets them. What is merged stays merged: to unmerge may
  /// take memory that is not there, and it goes with the desktops. Nothing held is no error.
  [[nodiscard]] Result<void> restore();

  [[nodiscard]] bool holds() const { return former_.has_value(); }
  [[nodiscard]] bool taken_over() const { return taken_over_; }
  /// Whether who took it over has put it back: KSM is on or off as it was left by us, and none of
  /// its settings has moved for kQuietFor. Then apply() writes again, and what is set now is what
  /// restore() will put back. That the settings do not move is not enough: somebody who turned KSM
  /// off means it, and never touches it again. Looks once in kLookEvery; `now_ns` must not fall.
  [[nodiscard]] bool given_back(MonotonicNs now_ns);

  static constexpr MonotonicNs kLookEvery = 60LL * 1'000'000'000;
  static constexpr MonotonicNs kQuietFor = 10 * kLookEvery;  ///< ksmtuned looks once a minute

 private:
  [[nodiscard]] Result<void> save(const KsmSettings& settings) const;
  [[nodiscard]] std::string boot_id() const;

  const Tree& tree_;
  std::string file_;
  std::optional<KsmSettings> former_;
  std::optional<KsmSettings> set_;
  bool taken_over_ = false;            ///< by somebody else
  std::optional<KsmSettings> theirs_;  ///< as last seen
  MonotonicNs theirs_since_ns_ = 0;
  MonotonicNs looked_ns_ = 0;
};

/// The text kept on disk, and back.
struct SavedKsm {
  std::string boot;  ///< the kernel's random/boot_id
  KsmSettings settings;

  [[nodiscard]] bool operator==(const SavedKsm&) const = default;
};
[[nodiscard]] std::string print_saved_ksm(const SavedKsm& saved);
/// Errors: EPROTO.
[[nodiscard]] Result<SavedKsm> parse_saved_ksm(const std::string& text);

}  // namespace panal::optimiser
