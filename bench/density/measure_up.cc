#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bench/density/command.h"
#include "bench/density/measure.h"
#include "engine/kernel/text.h"

namespace panal::bench {
namespace {

/// The last line that says something.
std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto end = text.rfind('\n');
  return end == std::string::npos ? text : text.substr(end + 1);
}

constexpr const char* kTimedUp =
    R"(begin=$EPOCHREALTIME; scripts/up || exit; end=$EPOCHREALTIME
echo "took $((${end/./} - ${begin/./})) us")";

/// Of "took N us".
Result<double> seconds_of(std::string_view line) {
  const auto begin = line.find(' ') + 1;
  const auto us = kernel::parse_number(line.substr(begin, line.rfind(' ') - begin));
  if (!us || !line.starts_with("took "))
    return fail(EPROTO, "no time in the last line of scripts/up: " + std::string(line));
  return static_cast<double>(*us) / 1e6;
}

}  // namespace

Result<Measured> measure_up_first(const std::string& source, const std::string& memory) {
  const std::string bare = source + "/scripts/bare";
  // The minimal root is made once and kept: it is the machine, and no part of what is measured.
  PANAL_ASSIGN(const auto machine, run_command({bare, "true"}));
  if (machine.exit_code != 0)
    return fail(ENODEV, "no bare Debian to try it in: " + last_line(machine.output));
  // Timed inside: making the root and removing it are no part of it. What `up` starts is to stay
  // (--no-check); it goes with the root.
  PANAL_ASSIGN(const auto up, run_command({bare, "--memory", memory.empty() ? "10G" : memory,
                                           "--no-check", "--", "bash", "-c", kTimedUp}));
  if (up.exit_code != 0)
    return fail(ECHILD, fmt::format("scripts/up in a bare Debian ended with {}: {}", up.exit_code,
                                    last_line(up.output)));
  PANAL_ASSIGN(const double took, seconds_of(last_line(up.output)));
  const nlohmann::json details = {
      {"note", "scripts/bare scripts/up: a Debian of 100 packages, packages from the network"},
      {"last_line", last_line(up.output)}};
  return Measured{took, details.dump()};
}

}  // namespace panal::bench
