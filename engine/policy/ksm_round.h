#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/model/ids.h"
#include "engine/model/ksm.h"

namespace panal::policy {

/// What merging saves in the processes of each program, gathered over all enlisted desktops. A
/// desktop may run a program oddly, or to spoil the others' merging, so it has one voice for each:
/// the mean over its processes. The median of the voices is the result, of an even number the
/// higher one: what is left out must lose in more than half of the desktops.
class KsmRound {
 public:
  /// Programs of one desktop; further ones are not counted.
  static constexpr std::size_t kMostPrograms = 64;

  /// A process that has been scanned often enough to be judged. `program` names the image too.
  void add(DesktopId desktop, std::string_view program, const KsmProcess& process);

  /// Bytes saved by one process of each program, negative where it loses.
  [[nodiscard]] std::map<std::string, double, std::less<>> profits() const;

 private:
  struct Sum {
    double bytes = 0;
    double processes = 0;
  };
  std::map<DesktopId, std::map<std::string, Sum, std::less<>>> desktops_;
};

/// When ksmd's passes ended: which processes have been scanned often enough to be judged. Times are
/// of any one clock.
class KsmPasses {
 public:
  /// ksmd has made so many passes by now. A number that fell begins anew.
  void note(std::uint64_t now, std::uint64_t full_scans);
  /// Whoever began before has been in KsmPrograms::kPassesBeforeJudgement passes; nothing: nobody.
  [[nodiscard]] std::optional<std::uint64_t> judged_before() const;

 private:
  struct Mark {
    std::uint64_t at = 0;
    std::uint64_t full_scans = 0;
  };
  std::deque<Mark> marks_;  ///< rising in both
};

}  // namespace panal::policy
