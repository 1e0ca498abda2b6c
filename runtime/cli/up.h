#pragma once

#include <string>

#include "runtime/cli/shell.h"

namespace panal::cli {

struct UpOptions {
  bool wait = false;  ///< also until every wanted desktop of this node runs
  bool dry_run = false;
  bool prepare = false;  ///< only what is there before the first program starts
  bool first_desktop = false;
  std::string image = "icewm";
};

/// Brings the node up, or finds that it is. Prints a line a step; on a problem the log that proves
/// it.
[[nodiscard]] ExitCode up(Shell& shell, const UpOptions& options);

/// Makes image, user and desktop where there are none, starts it, and says how to connect. The
/// password is shown only when the user was made now.
[[nodiscard]] ExitCode first_desktop(Shell& shell, const std::string& image);

struct DownOptions {
  bool keep_desktops = false;
  bool dry_run = false;
};

/// Ends what `up` began, whatever of it still lives, and says what is left.
[[nodiscard]] ExitCode down(Shell& shell, const DownOptions& options);

/// Services, database, panald, broker and desktops in one view. kNotRunning unless all are there.
[[nodiscard]] ExitCode status(Shell& shell, bool json);

struct TopOptions {
  bool once = false;
  bool json = false;
  std::uint32_t seconds = 2;
};
[[nodiscard]] ExitCode top(Shell& shell, const TopOptions& options);

}  // namespace panal::cli
