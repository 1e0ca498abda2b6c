#include "engine/kernel/zram.h"

#include <string>

#include "engine/kernel/text.h"

namespace panal::kernel {

Result<ZramMemory> parse_zram_mm_stat(std::string_view text) {
  const auto words = words_of(text);
  std::uint64_t numbers[5] = {};
  if (words.size() < std::size(numbers)) return fail(EPROTO, "mm_stat: fewer than five columns");
  for (std::size_t i = 0; i < std::size(numbers); ++i) {
    const auto number = parse_number(words[i]);
    if (!number) return fail(EPROTO, "mm_stat: column " + std::to_string(i + 1) + " is no number");
    numbers[i] = *number;
  }
  return ZramMemory{numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]};
}

Result<ZramMemory> read_zram(const Tree& tree) {
  ZramMemory sum;
  auto names = tree.sys.list("block");
  if (!names) {
    if (names.error().is_gone()) return sum;
    return tl::make_unexpected(std::move(names.error()));
  }
  for (const std::string& name : *names) {
    if (name.rfind("zram", 0) != 0) continue;
    auto text = tree.sys.read("block/" + name + "/mm_stat");
    if (!text) {
      if (text.error().is_gone()) continue;  // removed meanwhile
      return tl::make_unexpected(std::move(text.error()));
    }
    PANAL_ASSIGN(const ZramMemory one, parse_zram_mm_stat(*text));
    sum.original += one.original;
    sum.compressed += one.compressed;
    sum.used += one.used;
    sum.limit += one.limit;
    sum.used_max += one.used_max;
  }
  return sum;
}

}  // namespace panal::kernel
