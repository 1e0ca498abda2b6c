#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::bench {

/// What a line of the kernel's log says of a limit that was hit: "oom_kill" (one a victim),
/// "oom" (what is said around it), "fork_rejected", "neighbour_table", "bridge", "table_full",
/// "files", "no_page"; or of a program that ended by its own fault, "crash". Nothing for all other
/// lines.
[[nodiscard]] std::optional<std::string_view> alarm_of(std::string_view line);

/// Whether a line of kind "oom_kill" tells of a victim below `group` (a path without the slash
/// before it), or of one of the whole machine's, which might be anybody.
[[nodiscard]] bool is_kill_below(std::string_view line, std::string_view group);

/// The text of a record of the kernel's log device, "6,1234,5678,-;text\n KEY=value\n".
[[nodiscard]] std::string_view text_of_record(std::string_view record);

/// The kernel's log from a moment on. It is the machine's: others' lines are in it too.
class KernelLog {
 public:
  /// From now on. Errors: EPERM or EACCES where it may not be read (no CAP_SYSLOG); ENOENT.
  [[nodiscard]] static Result<KernelLog> from_now();

  /// Takes what was written since. To be called every few minutes: the log is a ring.
  void read();
  [[nodiscard]] const std::map<std::string, std::size_t, std::less<>>& alarms() const {
    return alarms_;
  }
  /// The first alarms' lines, the most frequent kind not to hide the others: some of each.
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }
  /// Victims below `group`, and the whole machine's.
  [[nodiscard]] std::size_t kills_below(std::string_view group) const;
  /// Times that lines were written over before they were read.
  [[nodiscard]] std::size_t overruns() const { return overruns_; }

 private:
  UniqueFd device_;
  std::map<std::string, std::size_t, std::less<>> alarms_;
  std::vector<std::string> lines_;
  std::vector<std::string> kills_;
  std::size_t overruns_ = 0;
};

}  // namespace panal::bench
