// Files beside and in images: records of hot pages, what panal-warm answers, compiled Python that
// strangers bring. Any bytes give a value or an error; what is accepted is printed as what it was,
// and names nothing outside of a tree. The first byte says which.
#include <cstdint>
#include <string>

#include "runtime/warm/order.h"
#include "storage/lint/pyc.h"
#include "storage/warm/hot_pages.h"
#include "tests/fuzz/texts.h"

namespace {

using panal::fuzz::require;

void check_hot_pages(std::string_view text) {
  const auto pages = panal::storage::parse_hot_pages(text, "hot-pages");
  if (!pages) return;
  for (const auto& file : pages->files) {
    require(file.path.starts_with("/") && file.path.find("/../") == std::string::npos &&
            !file.path.ends_with("/.."));
    const auto all = panal::storage::pages_of(file.size_bytes, pages->page_bytes);
    require(!file.ranges.empty() && file.ranges.back().end() <= all);
    require(panal::storage::page_count(file.ranges) <= all);
  }
  const auto again =
      panal::storage::parse_hot_pages(panal::storage::print_hot_pages(*pages), "again");
  require(again && *again == *pages);
  require(panal::storage::kept_within(*pages, pages->bytes() / 2).bytes() <= pages->bytes() / 2);
}

void check_answer(std::string_view text) {
  const auto answer = panal::warm::parse_answer(text);
  if (!answer) return;
  const auto again = panal::warm::parse_answer(panal::warm::print_answer(*answer));
  require(again && *again == *answer);
}

void check_pyc(std::string_view bytes) {
  if (!panal::storage::parse_pyc_header(bytes)) return;
  std::string patched(bytes);
  const std::string words = panal::storage::unchecked_pyc_words();
  patched.replace(4, words.size(), words);
  const auto header = panal::storage::parse_pyc_header(patched);
  require(header && header->by_hash && !header->checks_source);
}

void check_source_path(std::string_view path) {
  const std::string source = panal::storage::pyc_source_path(path);
  require(source.empty() || (source.ends_with(".py") && source.size() < path.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'h': check_hot_pages(text); break;
    case 'a': check_answer(text); break;
    case 'p': check_pyc(text); break;
    case 's': check_source_path(text); break;
    default: return -1;
  }
  return 0;
}
