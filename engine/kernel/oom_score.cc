#include "engine/kernel/oom_score.h"

#include <string>

#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

constexpr int kMostOomScore = 1000;

std::string oom_score_file(pid_t pid) { return std::to_string(pid) + "/oom_score_adj"; }

}  // namespace

Result<int> parse_oom_score_adj(std::string_view text) {
  const auto words = words_of(text);
  if (words.size() == 1) {
    const bool negative = words[0][0] == '-';
    const auto value = parse_number(words[0].substr(negative ? 1 : 0));
    if (value && *value <= kMostOomScore) return static_cast<int>(*value) * (negative ? -1 : 1);
  }
  return fail(EPROTO, "oom_score_adj: not a number of -1000..1000");
}

Result<int> read_oom_score_adj(const Tree& tree, pid_t pid) {
  PANAL_ASSIGN(const std::string text, tree.proc.read(oom_score_file(pid)));
  return parse_oom_score_adj(text);
}

Result<void> write_oom_score_adj(const Tree& tree, pid_t pid, int value) {
  if (value < -kMostOomScore || value > kMostOomScore)
    return fail(EINVAL, "oom_score_adj " + std::to_string(value) + " is not of -1000..1000");
  return tree.proc.write(oom_score_file(pid), std::to_string(value));
}

}  // namespace panal::kernel
