#pragma once

#include <chrono>
#include <string>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/base/unique_fd.h"
#include "engine/kernel/psi.h"

namespace panal::kernel {

/// So much waiting within any window is an event.
struct PsiThreshold {
  std::chrono::microseconds stall{100'000};
  /// 500 ms..10 s with CAP_SYS_RESOURCE; without it whole multiples of 2 s (since 6.4; older
  /// kernels refuse). The kernel looks ten times a window (privileged) or once (unprivileged).
  std::chrono::microseconds window{2'000'000};
  bool full = false;  ///< only time in which all tasks waited
};

/// What is written to the pressure file. Errors: EINVAL when the window is out of range or the
/// stall is not within it.
[[nodiscard]] Result<std::string> psi_trigger_text(const PsiThreshold& threshold);

/// A descriptor that polls POLLPRI when a threshold was passed, at most once a window, and POLLERR
/// when the group is gone. Closing it takes the trigger away.
class PsiTrigger {
 public:
  /// The host's. Errors: EINVAL when this kernel or process may not have such a window; EOPNOTSUPP
  /// without PSI; EBUSY.
  [[nodiscard]] static Result<PsiTrigger> open_host(const Tree& tree, PressureResource resource,
                                                    const PsiThreshold& threshold);
  /// A group's; `group` is its directory in the v2 hierarchy. Errors: as above.
  [[nodiscard]] static Result<PsiTrigger> open_group(const Dir& group, PressureResource resource,
                                                     const PsiThreshold& threshold);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// Waits for an event, up to `timeout` (zero: only looks). For callers without an event loop.
  /// Errors: ENODEV when the group is gone.
  [[nodiscard]] Result<bool> wait(std::chrono::milliseconds timeout) const;

 private:
  explicit PsiTrigger(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
  [[nodiscard]] static Result<PsiTrigger> open(const Dir& dir, const std::string& file,
                                               const PsiThreshold& threshold);
  UniqueFd fd_;
};

}  // namespace panal::kernel
