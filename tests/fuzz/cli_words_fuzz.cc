// Words of a command line that are read by rules of their own: a time, an image with a version or
// tag, a name that is looked up among known ones. The first byte says which it is.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/cli/image_refs.h"
#include "runtime/cli/nearest.h"
#include "runtime/cli/span.h"

namespace {

void check_span(std::string_view text) {
  const auto span = panal::cli::parse_span(text);
  if (!span) {
    if (span.error().code != EINVAL || span.error().context.empty()) std::abort();
    return;
  }
  if (span->count() < 0 || *span > panal::cli::kLongestSpan) std::abort();
  if (panal::cli::print_span(*span).empty()) std::abort();
}

void check_image(std::string_view text) {
  const auto word = panal::cli::split_image_word(text);
  if (!word) return;
  // It becomes part of a path and of a query.
  static constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  for (const std::string& part : {word->image, word->name}) {
    if (part.find_first_not_of(kPlain) != std::string::npos || part.size() > 128) std::abort();
    if (!part.empty() && (part[0] == '.' || part[0] == '-')) std::abort();
  }
  if (word->image.empty()) std::abort();
}

void check_nearest(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty() && names.size() < 16) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    names.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (names.empty()) return;
  const std::string word = names.front();
  names.erase(names.begin());
  const std::string found = panal::cli::nearest_name(word, names);
  if (found.empty()) return;
  const std::size_t distance = panal::cli::edit_distance(word, found);
  if (distance != panal::cli::edit_distance(found, word)) std::abort();
  for (const std::string& name : names)
    if (name.size() <= 128 && panal::cli::edit_distance(word, name) < distance) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 's': check_span(text); break;
    case 'w': check_image(text); break;
    case 'n': check_nearest(text); break;
    default: return -1;
  }
  return 0;
}
