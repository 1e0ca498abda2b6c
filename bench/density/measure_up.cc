#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "bench/density/command.h"
#include "bench/density/measure.h"

namespace panal::bench {
namespace {

/// The last line that says something.
std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto end = text.rfind('\n');
  return end == std::string::npos ? text : text.substr(end + 1);
}

}  // namespace

Result<Measured> measure_up_first(const std::string& source, const std::string& memory) {
  const std::string bare = source + "/scripts/bare";
  // The minimal root is made once and kept: it is the machine, and no part of what is measured.
  PANAL_ASSIGN(const auto machine, run_command({bare, "true"}));
  if (machine.exit_code != 0)
    return fail(ENODEV, "no bare Debian to try it in: " + last_line(machine.output));
  const auto begin = std::chrono::steady_clock::now();
  PANAL_ASSIGN(const auto up,
               run_command({bare, "--memory", memory.empty() ? "10G" : memory, "scripts/up"}));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (up.exit_code != 0)
    return fail(ECHILD, fmt::format("scripts/up in a bare Debian ended with {}: {}", up.exit_code,
                                    last_line(up.output)));
  const nlohmann::json details = {
      {"note", "scripts/bare scripts/up: a Debian of 100 packages, packages from the network"},
      {"last_line", last_line(up.output)}};
  return Measured{took.count(), details.dump()};
}

}  // namespace panal::bench
