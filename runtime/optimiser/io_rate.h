#pragma once

#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/kernel/cgroup.h"
#include "engine/model/snapshot.h"

namespace panal::optimiser {

/// What a desktop reads from disks and writes to them, of its group's counters at two looks.
class IoRate {
 public:
  /// Two looks are as far apart at least: the files are two more of each desktop, and who is taken
  /// from is looked at every few seconds.
  static constexpr MonotonicNs kEveryNs = 30LL * 1'000'000'000;

  [[nodiscard]] bool due(MonotonicNs now_ns) const {
    return at_ns_ == 0 || now_ns - at_ns_ >= kEveryNs;
  }
  /// What was added since the look before; nothing at the first, or where counters went back (a
  /// device that is gone takes its own along).
  IoStatistics look(const IoStatistics& counters, MonotonicNs now_ns);

  /// As the counters were last; nothing: never seen.
  [[nodiscard]] const std::optional<IoStatistics>& last() const { return last_; }
  /// Bytes a second between the last two looks; 0 before there were two.
  [[nodiscard]] double read_bytes_per_second() const { return read_; }
  [[nodiscard]] double written_bytes_per_second() const { return written_; }

 private:
  std::optional<IoStatistics> last_;
  MonotonicNs at_ns_ = 0;
  double read_ = 0;
  double written_ = 0;
};

/// Has the kernel count the I/O of desktops on the disk that holds `path`, which v1 kernels do not
/// before anybody has had a limit there; v2 always does. `group`: the desktops' parent.
/// Errors: ENODEV where no single disk holds it (a tmpfs, an overlay); ENOTSUP without a
/// controller.
[[nodiscard]] Result<void> count_io(const Tree& tree, const kernel::CgroupRoot& cgroups,
                                    const std::string& group, const std::string& path);

}  // namespace panal::optimiser
