#include "engine/kernel/process_start.h"

#include <string>

#include "engine/kernel/text.h"

namespace panal::kernel {

Result<std::uint64_t> parse_process_start(std::string_view stat) {
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return fail(EPROTO, "process stat: no name");
  // Field 22 of proc_pid_stat(5); the first behind the name is field 3.
  constexpr std::size_t kStart = 22 - 3;
  const auto words = words_of(stat.substr(name_end + 1));
  const auto start = words.size() > kStart ? parse_number(words[kStart]) : std::nullopt;
  if (!start) return fail(EPROTO, "process stat: no time of its start");
  return *start;
}

Result<std::uint64_t> read_process_start(const Tree& tree, pid_t pid) {
  PANAL_ASSIGN(const std::string stat, tree.proc.read(std::to_string(pid) + "/stat"));
  return parse_process_start(stat);
}

}  // namespace panal::kernel
