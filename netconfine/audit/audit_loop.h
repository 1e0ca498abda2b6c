#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "engine/base/result.h"
#include "netconfine/network.h"

namespace panal::netconfine {

/// When to look. With these, drift is repaired well within 5 s, or the desktops are cut off.
struct AuditIntervals {
  std::chrono::milliseconds at_least = std::chrono::minutes(1);  ///< without any change
  std::chrono::milliseconds untold = std::chrono::seconds(2);    ///< where the kernel tells of none
  /// Where it tells of changes of rules, but not of all there is (AuditReport::untold): a look at
  /// 1,000 desktops' links is some hundredths of a second.
  std::chrono::milliseconds links = std::chrono::seconds(4);
  std::chrono::milliseconds retry = std::chrono::seconds(1);  ///< while desktops are cut off
  /// After a change, so that a hundred changes do not make a hundred audits.
  std::chrono::milliseconds settle = std::chrono::milliseconds(100);
};

/// Audits a Network on a thread of its own: when the kernel says that rules have changed, and from
/// time to time.
class AuditLoop {
 public:
  /// `network` must outlive it. `each` hears of every audit, on the loop's thread.
  /// Errors: EMFILE; EAGAIN when no thread can be made.
  [[nodiscard]] static Result<std::unique_ptr<AuditLoop>> start(
      Network& network, const AuditIntervals& intervals = {},
      std::function<void(const AuditReport&)> each = {});
  /// Waits for an audit that is under way.
  virtual ~AuditLoop() = default;
};

}  // namespace panal::netconfine
