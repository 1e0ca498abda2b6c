#pragma once

namespace panal::cli {

/// What `panal` tells its caller. Documented in --help and docs/operator.md: never renumber.
enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,      ///< it was tried and did not work
  kUsage = 2,       ///< wrong command line or configuration file; nothing was done
  kNotRunning = 3,  ///< panald, the broker or the database does not run or cannot be reached
  kNotFound = 4,    ///< no such user, tenant, image, version, tag, desktop or profile
  kRefused = 5,     ///< exists already, is in use, or is in a state that does not allow it
  kNotAllowed = 6,  ///< needs root, or the database role lacks the right
};

inline constexpr const char* kExitCodesHelp =
    "Exit codes: 0 done; 1 failed; 2 wrong command line or configuration; 3 panald, broker or\n"
    "database not running; 4 no such user, tenant, image, version, tag, desktop or profile;\n"
    "5 refused (exists, in use, wrong state, moved meanwhile); 6 not allowed (needs root).";

}  // namespace panal::cli
