#pragma once

#include <cstdint>

#include "engine/model/snapshot.h"

namespace panal::policy {

/// Whether ksmd gets on. Where it stands, a desktop that waits for its passes waits for ever.
class KsmMotion {
 public:
  /// A rate as low as the governor's lowest still scans in a tenth of this.
  static constexpr MonotonicNs kStandsAfter = 60LL * 1'000'000'000;

  /// False where there is no KSM, where it is turned off, and once nothing was scanned for
  /// kStandsAfter. A kernel that does not count scanned pages (before Linux 6.6) is believed to
  /// move. To be asked every few seconds.
  [[nodiscard]] bool moves(const Snapshot& host);

 private:
  std::uint64_t scanned_ = 0;
  MonotonicNs since_ns_ = 0;  ///< when that much was seen first; 0: nothing was seen yet
};

}  // namespace panal::policy
