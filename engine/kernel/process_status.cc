#include "engine/kernel/process_status.h"

#include <cstdint>
#include <limits>
#include <optional>

#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

std::optional<pid_t> pid_in(std::string_view word) {
  const auto number = parse_number(word);
  if (!number || *number > static_cast<std::uint64_t>(std::numeric_limits<pid_t>::max()))
    return std::nullopt;
  return static_cast<pid_t>(*number);
}

/// "  123 kB"
std::optional<std::uint64_t> kilobytes_in(std::string_view text) {
  const auto words = words_of(text);
  if (words.size() != 2 || words[1] != "kB") return std::nullopt;
  const auto number = parse_number(words[0]);
  if (!number || *number > UINT64_MAX / 1024) return std::nullopt;
  return *number * 1024;
}

}  // namespace

Result<ProcessStatus> parse_process_status(std::string_view text) {
  ProcessStatus out;
  bool named = false, stated = false, fathered = false, numbered = false;
  const auto wrong = [](std::string_view line) {
    return fail(EPROTO, "process status: \"" + std::string(line.substr(0, 80)) + "\"");
  };
  for (const std::string_view line : lines_of(text)) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return wrong(line);
    const std::string_view key = line.substr(0, colon);
    const std::string_view value = line.substr(colon + 1);
    if (key == "Name") {
      // The kernel escapes line ends in it, so that nobody can write the lines below.
      out.name = value.substr(value.empty() ? 0 : 1);
      named = true;
    } else if (key == "State") {
      const auto words = words_of(value);
      if (words.empty()) return wrong(line);
      out.alive = words[0] != "Z" && words[0] != "X";
      stated = true;
    } else if (key == "PPid") {
      const auto words = words_of(value);
      const auto pid = words.size() == 1 ? pid_in(words[0]) : std::nullopt;
      if (!pid) return wrong(line);
      out.parent = *pid;
      fathered = true;
    } else if (key == "NSpid" || key == "NSsid") {
      const auto words = words_of(value);
      const auto pid = words.empty() ? std::nullopt : pid_in(words.back());
      if (!pid) return wrong(line);
      if (key == "NSsid") {
        out.inner_session = *pid;
        continue;
      }
      out.inner_pid = *pid;
      out.depth = static_cast<std::uint32_t>(words.size() - 1);
      numbered = true;
    } else if (key == "VmRSS" || key == "VmSwap") {
      const auto bytes = kilobytes_in(value);
      if (!bytes) return wrong(line);
      (key == "VmRSS" ? out.rss_bytes : out.swap_bytes) = *bytes;
    } else if (key == "Seccomp_filters") {
      const auto words = words_of(value);
      const auto count = words.size() == 1 ? parse_number(words[0]) : std::nullopt;
      if (!count || *count > UINT32_MAX) return wrong(line);
      out.seccomp_filters = static_cast<std::uint32_t>(*count);
    }
  }
  if (!named || !stated || !fathered || !numbered)
    return fail(EPROTO, "process status without Name, State, PPid or NSpid");
  return out;
}

Result<ProcessStatus> read_process_status(const Tree& tree, pid_t pid) {
  PANAL_ASSIGN(const std::string text, tree.proc.read(std::to_string(pid) + "/status"));
  return parse_process_status(text);
}

}  // namespace panal::kernel
