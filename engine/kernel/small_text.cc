#include "engine/kernel/small_text.h"

#include <limits>
#include <string>

#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

constexpr auto kMostPid = static_cast<std::uint64_t>(std::numeric_limits<pid_t>::max());

}  // namespace

std::optional<std::string_view> chosen_of(std::string_view text) {
  const std::size_t open = text.find('[');
  if (open == std::string_view::npos) return std::nullopt;
  const std::size_t close = text.find(']', open);
  if (close == std::string_view::npos || close == open + 1) return std::nullopt;
  return text.substr(open + 1, close - open - 1);
}

Result<std::vector<pid_t>> parse_group_pids(std::string_view text) {
  std::vector<pid_t> pids;
  for (const std::string_view line : lines_of(text)) {
    const auto pid = parse_number(line);
    if (!pid || *pid > kMostPid)
      return fail(EPROTO, "cgroup.procs: \"" + std::string(line.substr(0, 80)) + "\"");
    pids.push_back(static_cast<pid_t>(*pid));
  }
  return pids;
}

bool is_of_group(std::string_view text, std::string_view group) {
  if (group.empty()) return false;
  for (const std::string_view line : lines_of(text)) {
    // "4:memory:/panal/d7"; the path may have colons of its own.
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view path = line.substr(second + 1);
    for (std::size_t at = path.find(group); at != std::string_view::npos;
         at = path.find(group, at + 1)) {
      const std::string_view behind = path.substr(at + group.size());
      const bool begins = at > 0 && path[at - 1] == '/';
      if (begins && (behind.empty() || behind.front() == '/')) return true;
    }
  }
  return false;
}

Result<std::optional<pid_t>> parse_pidfd_entry(std::string_view text) {
  for (const std::string_view line : lines_of(text)) {
    if (!line.starts_with("Pid:")) continue;
    const auto words = words_of(line.substr(4));
    if (words.size() == 1 && words[0] == "-1") return std::optional<pid_t>();
    const auto pid = words.size() == 1 ? parse_number(words[0]) : std::nullopt;
    if (!pid || *pid > kMostPid)
      return fail(EPROTO, "pidfd: \"" + std::string(line.substr(0, 80)) + "\"");
    // Where our pid namespace has no number for it.
    if (*pid == 0) return std::optional<pid_t>();
    return std::optional<pid_t>(static_cast<pid_t>(*pid));
  }
  return fail(EINVAL, "the descriptor is not a pidfd");
}

}  // namespace panal::kernel
