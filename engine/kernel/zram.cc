#include "engine/kernel/zram.h"

#include <algorithm>
#include <string>

#include "engine/kernel/text.h"

namespace panal::kernel {

Result<ZramStatistics> parse_zram_mm_stat(std::string_view text) {
  constexpr std::size_t kRequired = 5;
  const auto words = words_of(text);
  std::uint64_t numbers[8] = {};  // the seventh, pages compacted, is of no use here
  if (words.size() < kRequired) return fail(EPROTO, "mm_stat: fewer than five columns");
  for (std::size_t i = 0; i < std::min(std::size(numbers), words.size()); ++i) {
    const auto number = parse_number(words[i]);
    if (!number) return fail(EPROTO, "mm_stat: column " + std::to_string(i + 1) + " is no number");
    numbers[i] = *number;
  }
  return ZramStatistics{.original = numbers[0],
                        .compressed = numbers[1],
                        .used = numbers[2],
                        .limit = numbers[3],
                        .used_max = numbers[4],
                        .same_pages = numbers[5],
                        .huge_pages = numbers[7]};
}

Result<ZramStatistics> read_zram(const Tree& tree) {
  ZramStatistics sum;
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
    PANAL_ASSIGN(const ZramStatistics one, parse_zram_mm_stat(*text));
    sum.original += one.original;
    sum.compressed += one.compressed;
    sum.used += one.used;
    sum.limit += one.limit;
    sum.used_max += one.used_max;
    sum.same_pages += one.same_pages;
    sum.huge_pages += one.huge_pages;
  }
  return sum;
}

}  // namespace panal::kernel
