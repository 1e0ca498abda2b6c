#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace panal::cli {

/// What people may call things. Each returns EINVAL with a sentence that says what is allowed.

/// [a-z_][a-z0-9_-]{0,31}: the rule of useradd(8).
[[nodiscard]] Result<void> check_login(std::string_view login);
/// [a-z0-9][a-z0-9_-]{0,31}
[[nodiscard]] Result<void> check_tenant(std::string_view tenant);
/// The same rule.
[[nodiscard]] Result<void> check_trust(std::string_view trust);
/// [a-z0-9][a-z0-9-]{0,63}: as recipes may call theirs.
[[nodiscard]] Result<void> check_image_name(std::string_view image);
/// Why a version was made: one line of at most 2000 bytes of UTF-8; may be empty.
[[nodiscard]] Result<void> check_message(std::string_view message);
/// A host label, since it is the desktop's hostname too: [a-z0-9-]{1,63}, no '-' at either end,
/// not a number alone (that is an id).
[[nodiscard]] Result<void> check_desktop_name(std::string_view name);
/// A user's settings; empty ones are allowed and mean the default.
[[nodiscard]] Result<void> check_shell(std::string_view shell);
[[nodiscard]] Result<void> check_lang(std::string_view lang);
[[nodiscard]] Result<void> check_timezone(std::string_view timezone);
[[nodiscard]] Result<void> check_keyboard(std::string_view keyboard);
/// "name:gid", e.g. "audio:29".
[[nodiscard]] Result<std::pair<std::string, std::uint32_t>> parse_group(std::string_view text);

/// "desk-%d" and 3 -> desk-1, desk-2, desk-3; without %d and with count 1 the name itself.
/// Errors: EINVAL for count > 1 without %d, for any other %, for a name that is not allowed.
[[nodiscard]] Result<std::vector<std::string>> expand_names(const std::string& pattern,
                                                            std::uint32_t count);

}  // namespace panal::cli
