#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "runtime/cli/shell.h"
#include "runtime/store/store.h"

namespace panal::cli {

/// The desktop that `word` (a name, or an id) means. `tenant` narrows it; empty: any.
/// Errors: ENOENT, EEXIST with a sentence when more than one has that name.
[[nodiscard]] Result<store::Desktop> resolve_desktop(const std::vector<store::Desktop>& desktops,
                                                     const std::string& word,
                                                     const std::string& tenant);

/// All that the store knows of a desktop.
[[nodiscard]] nlohmann::json desktop_json(const store::Desktop& desktop);

/// The reason's first line, for a table.
[[nodiscard]] std::string first_line(const std::string& text);

/// Shows the states `desktops` go through until each is there or has failed, or nothing has moved
/// for `stall`. `store` must listen already where notifications should not be missed.
[[nodiscard]] ExitCode wait_for_desktops(Shell& shell, store::Store& store,
                                         const std::vector<store::Desktop>& desktops,
                                         store::Desired desired, std::chrono::seconds stall);

/// Sets `desired` for all of `desktops` and, when `wait`, waits for them.
/// kFailed when one failed (its reason is said), kNotRunning when their node's panald is silent.
[[nodiscard]] ExitCode drive_desktops(Shell& shell, const std::vector<store::Desktop>& desktops,
                                      store::Desired desired, bool wait,
                                      std::chrono::seconds stall);

}  // namespace panal::cli
