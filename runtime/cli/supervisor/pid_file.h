#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"

namespace panal::supervisor {

/// Which process, for good: a pid alone is reused.
struct ProcessIdentity {
  pid_t pid = -1;
  std::uint64_t start_ticks = 0;  ///< since boot, field 22 of its stat file
  [[nodiscard]] bool operator==(const ProcessIdentity&) const = default;
};

/// Field 22 of a stat file; the name in field 2 may hold anything. Errors: EPROTO.
[[nodiscard]] Result<std::uint64_t> parse_start_ticks(std::string_view stat);

/// Errors: ESRCH.
[[nodiscard]] Result<ProcessIdentity> identify(pid_t pid);

/// "PID START_TICKS\n", written aside and renamed.
[[nodiscard]] Result<void> write_pid_file(const std::string& file, const ProcessIdentity& identity);

/// The process a pid file names, held, if it still lives; nullopt when it does not, or when there
/// is no file. A file that does not parse counts as none: it was cut short by a crash.
[[nodiscard]] Result<std::optional<Pidfd>> open_recorded(const std::string& file);

}  // namespace panal::supervisor
