#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace panal::cli {

inline constexpr std::chrono::seconds kLongestSpan{std::chrono::hours(24 * 3650)};

/// A time as people write it: a whole number and a unit, "90s", "30m", "24h", "7d", "2w"; "0" alone
/// is now. At most kLongestSpan. Errors: EINVAL with a sentence that says what is allowed.
[[nodiscard]] Result<std::chrono::seconds> parse_span(std::string_view text);

/// "90 s", "30 min", "24 h", "7 d": in the largest unit that leaves no rest.
[[nodiscard]] std::string print_span(std::chrono::seconds span);

/// "2026-11-26T10:00:00Z"; empty for a time that no calendar has.
[[nodiscard]] std::string print_time(std::int64_t unix_s);

}  // namespace panal::cli
