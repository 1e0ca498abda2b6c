#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <ctime>

namespace panal::bench {

/// A line of progress on stderr, with the time of day.
template <typename... Words>
void say(fmt::format_string<Words...> format, Words&&... words) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  fmt::print(stderr, "[{:02}:{:02}:{:02}] {}\n", parts.tm_hour, parts.tm_min, parts.tm_sec,
             fmt::format(format, std::forward<Words>(words)...));
}

}  // namespace panal::bench
