#pragma once

#include <string>

#include "runtime/cli/shell.h"

namespace panal::cli {

struct NetUplinkOptions {
  bool dry_run = false;  ///< by the configuration file as it is now, whatever panald has read
  bool json = false;
};

/// Shows what the way outside does to the host, as a person would type it; changes nothing. Asks
/// panald; where none runs, or for a dry run, it is looked at from here. kRefused where the host's
/// state allows no such uplink, kUsage for settings that are none, kNotAllowed without root.
[[nodiscard]] ExitCode net_uplink(Shell& shell, const NetUplinkOptions& options);

/// The same for `panal up --dry-run`, or why there would be none; empty without an uplink.
[[nodiscard]] std::string uplink_at_start_plan(const Shell& shell);

}  // namespace panal::cli
