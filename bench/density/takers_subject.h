#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"

namespace panal::bench {

/// Desktops, or what stands for them, whose memory is merged and taken; all enlisted in KSM.
class TakersSubject {
 public:
  virtual ~TakersSubject() = default;
  /// One of each; they stay the same from round to round.
  [[nodiscard]] virtual const std::vector<kernel::Cgroup>& groups() const = 0;
  /// Whether all of them live.
  [[nodiscard]] virtual Result<void> check() const = 0;
};

/// `count` processes with `mib` MiB each in groups of their own: the first half of its pages is the
/// same in all of them, the other its own; each compresses to about a quarter.
/// Errors: EINVAL outside of a lab; ENOTSUP on a kernel without KSM; those of fork(2).
[[nodiscard]] Result<std::unique_ptr<TakersSubject>> make_synthetic_subject(std::size_t count,
                                                                            unsigned mib);

/// `count` living desktops of an image, started with clients that have left since and settled for
/// `settle_seconds`, on a node of their own whose panald takes nothing and does not set KSM's pace.
/// Errors: those of whatever did not work. Its end takes the node down.
[[nodiscard]] Result<std::unique_ptr<TakersSubject>> make_desktops_subject(const std::string& image,
                                                                           std::size_t count,
                                                                           unsigned settle_seconds);

}  // namespace panal::bench
