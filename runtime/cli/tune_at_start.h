#pragma once

#include <functional>
#include <string>

#include "runtime/cli/shell.h"

namespace panal::cli {

/// Applies the profile of [tuning] where `apply_at_start` asks for it and this machine has none
/// applied since its last start. What an operator applied, reverted halfway or let drift since then
/// is left as it is. `say` is told what was done, and what was not and why: a node comes up without
/// its profile too.
void tune_at_start(Shell& shell, const std::function<void(const std::string&)>& say);

/// The same for --dry-run: a line with its newline, empty where nothing would be done.
[[nodiscard]] std::string tune_at_start_plan(Shell& shell);

}  // namespace panal::cli
