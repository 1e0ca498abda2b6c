#include "engine/kernel/flat_keyed.h"

#include "engine/kernel/text.h"

namespace panal::kernel {

Result<void> for_each_flat_keyed(
    std::string_view text, const std::function<void(std::string_view, std::uint64_t)>& visit) {
  for (const std::string_view line : lines_of(text)) {
    if (line.empty()) continue;
    const auto words = words_of(line);
    const auto value = words.size() == 2 ? parse_number(words[1]) : std::nullopt;
    if (!value) return fail(EPROTO, "a line is not a name and a number");
    visit(words[0], *value);
  }
  return {};
}

Result<std::optional<std::uint64_t>> find_flat_keyed(std::string_view text, std::string_view key) {
  std::optional<std::uint64_t> found;
  PANAL_TRY(for_each_flat_keyed(text, [&](std::string_view name, std::uint64_t value) {
    if (name == key) found = value;
  }));
  return found;
}

}  // namespace panal::kernel
