#include "engine/policy/ksm_programs_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "engine/model/program.h"

namespace panal::policy {
namespace {

constexpr std::string_view kFirstLine = "panal-ksm-programs 1";
/// No address space is larger; sums of such stay exact.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 50;
constexpr std::int64_t kMostCount = UINT32_MAX;

Failure wrong(std::size_t line, std::string_view what) {
  return fail(EPROTO, fmt::format("line {}: {}", line, what));
}

bool is_key(std::string_view word) {
  const std::size_t slash = word.find('/');
  return slash != std::string_view::npos && is_program_name(word.substr(0, slash)) &&
         is_program_name(word.substr(slash + 1));
}

/// A word from the front of `rest`, which it leaves behind the space that ends it.
std::string_view take_word(std::string_view& rest) {
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

Result<KsmProgram> parse_program(std::string_view rest, std::size_t line) {
  std::array<std::int64_t, 6> numbers{};
  for (std::int64_t& number : numbers) {
    const std::string_view word = take_word(rest);
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (word.empty() || error != std::errc{} || end != word.data() + word.size())
      return wrong(line, "a whole number is missing");
  }
  if (!rest.empty()) return wrong(line, "more than seven words");
  if (numbers[0] < -kMostBytes || numbers[0] > kMostBytes)
    return wrong(line, "a profit out of range");
  for (std::size_t i = 1; i < numbers.size(); ++i)
    if (numbers[i] < 0 || numbers[i] > kMostCount) return wrong(line, "a count out of range");
  if (numbers[3] > 1) return wrong(line, "left out is 0 or 1");
  // It would be left out for ever.
  if (std::max(numbers[4], numbers[5]) > KsmPrograms::kLastRetry)
    return wrong(line, "more starts than it is left out of");
  const auto count = [&numbers](std::size_t i) { return static_cast<std::uint32_t>(numbers[i]); };
  KsmProgram program;
  program.profit_bytes = static_cast<double>(numbers[0]);
  program.samples = count(1);
  program.losses = count(2);
  program.left_out = numbers[3] == 1;
  program.starts_left_out = count(4);
  program.retry_after = count(5);
  return program;
}

}  // namespace

std::string print_ksm_programs(const KsmProgramMap& programs) {
  std::string text = std::string(kFirstLine) + "\n";
  for (const auto& [name, one] : programs) {
    const double most = static_cast<double>(kMostBytes);
    const auto profit = static_cast<std::int64_t>(std::clamp(one.profit_bytes, -most, most));
    text += fmt::format("{} {} {} {} {} {} {}\n", name, profit, one.samples, one.losses,
                        one.left_out ? 1 : 0, one.starts_left_out, one.retry_after);
  }
  return text;
}

Result<KsmProgramMap> parse_ksm_programs(std::string_view text) {
  KsmProgramMap programs;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return wrong(number, "it has no end");
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (number == 1) {
      if (line != kFirstLine) return wrong(1, "not a list of programs of this version");
      continue;
    }
    const std::string_view key = take_word(line);
    if (!is_key(key)) return wrong(number, "it does not begin with IMAGE/PROGRAM");
    PANAL_ASSIGN(const KsmProgram program, parse_program(line, number));
    if (programs.size() >= KsmPrograms::kMost) return wrong(number, "more programs than are kept");
    if (!programs.emplace(key, program).second) return wrong(number, "it stands there twice");
  }
  if (number == 0) return wrong(1, "the file is empty");
  return programs;
}

}  // namespace panal::policy
