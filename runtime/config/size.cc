#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

#include "runtime/config/schema.h"

namespace panal::config {
namespace {

struct Unit {
  std::string_view name;
  unsigned shift;
};
constexpr std::array<Unit, 5> kUnits{
    {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}}};

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{}) {
    return fail(EINVAL, fmt::format("'{}' is no size; write e.g. 512 MiB", text));
  }
  std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (unit.empty()) return number;
  for (const auto& known : kUnits) {
    if (unit != known.name) continue;
    if (number > (std::numeric_limits<std::uint64_t>::max() >> known.shift)) {
      return fail(EINVAL, fmt::format("'{}' is too large", text));
    }
    return number << known.shift;
  }
  return fail(EINVAL, fmt::format("'{}' has an unknown unit; use KiB, MiB, GiB or TiB", text));
}

std::string format_size(std::uint64_t bytes) {
  for (const auto& unit : kUnits) {
    const std::uint64_t one = std::uint64_t{1} << unit.shift;
    if (unit.shift != 0 && bytes != 0 && bytes % one == 0) {
      return fmt::format("{} {}", bytes / one, unit.name);
    }
  }
  return fmt::format("{}", bytes);
}

}  // namespace panal::config
