#include "engine/kernel/loadavg.h"

#include "engine/kernel/text.h"

namespace panal::kernel {

Result<TaskCounts> parse_task_counts(std::string_view text) {
  const auto words = words_of(text);
  if (words.size() < 4) return fail(EPROTO, "loadavg has fewer than four words");
  const auto parts = split(words[3], '/');
  const auto runnable = parts.size() == 2 ? parse_number(parts[0]) : std::nullopt;
  const auto total = parts.size() == 2 ? parse_number(parts[1]) : std::nullopt;
  if (!runnable || !total || *runnable > UINT32_MAX || *total > UINT32_MAX)
    return fail(EPROTO, "loadavg: the fourth word is no pair of numbers");
  return TaskCounts{static_cast<std::uint32_t>(*runnable), static_cast<std::uint32_t>(*total)};
}

Result<TaskCounts> read_task_counts(const Tree& tree) {
  PANAL_ASSIGN(const std::string text, tree.proc.read("loadavg"));
  return parse_task_counts(text);
}

}  // namespace panal::kernel
