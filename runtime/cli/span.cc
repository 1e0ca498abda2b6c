#include "runtime/cli/span.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <ctime>

#include "engine/base/log.h"

namespace panal::cli {

Result<std::chrono::seconds> parse_span(std::string_view text) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  std::int64_t number = 0;
  const auto [rest, error] = std::from_chars(begin, end, number);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  std::int64_t each = 0;
  if (unit == "s")
    each = 1;
  else if (unit == "m")
    each = 60;
  else if (unit == "h")
    each = 3600;
  else if (unit == "d")
    each = 24 * 3600;
  else if (unit == "w")
    each = 7 * 24 * 3600;
  else if (unit.empty() && number == 0)
    each = 1;
  const bool read = !text.empty() && error == std::errc{} && each > 0 && *begin != '-';
  if (read && number <= kLongestSpan.count() / each) return std::chrono::seconds(number * each);
  return fail(EINVAL, fmt::format("'{}' is no time: give a whole number with s, m, h, d or w, such "
                                  "as 30m or 24h, 10 years at most",
                                  printable(text, 80)));
}

std::string print_span(std::chrono::seconds span) {
  const std::int64_t count = span.count();
  if (count != 0 && count % (24 * 3600) == 0 && count > 24 * 3600)
    return fmt::format("{} d", count / (24 * 3600));
  if (count != 0 && count % 3600 == 0) return fmt::format("{} h", count / 3600);
  if (count != 0 && count % 60 == 0) return fmt::format("{} min", count / 60);
  return fmt::format("{} s", count);
}

std::string print_time(std::int64_t unix_s) {
  const std::time_t time = unix_s;
  std::tm utc{};
  if (::gmtime_r(&time, &utc) == nullptr) return "";
  std::array<char, 64> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return {text.data(), length};
}

}  // namespace panal::cli
