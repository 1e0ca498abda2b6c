#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "runtime/desktop/desktop.h"

namespace panal::desktop {

/// What must be known of a desktop to clear it away when the store no longer knows it: kept in its
/// run directory from before its first mount to after its last.
[[nodiscard]] Result<std::string> print_saved(const DesktopSpec& spec);
/// Only the fields that print_saved() keeps are set. Errors: EPROTO.
[[nodiscard]] Result<DesktopSpec> parse_saved(std::string_view text);

}  // namespace panal::desktop
