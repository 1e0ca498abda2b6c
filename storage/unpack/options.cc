#include <charconv>

#include "engine/base/log.h"
#include "storage/unpack/unpack.h"

namespace panal::storage::unpack {
namespace {

constexpr const char* kKinds[] = {"auto", "tar", "oci"};

Result<std::uint64_t> number_in(const std::string& word) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (problem != std::errc() || end != word.data() + word.size())
    return fail(EINVAL, "\"" + printable(word, 60) + "\" is no number");
  return value;
}

}  // namespace

std::vector<std::string> print_options(const UnpackOptions& options) {
  std::vector<std::string> words = {
      kKinds[static_cast<std::size_t>(options.kind)], std::to_string(options.limit_bytes),
      std::to_string(options.limit_entries), std::to_string(options.input_bytes),
      options.leave_out_special ? "leave-out" : "refuse"};
  if (!options.reference.empty()) words.push_back(options.reference);
  return words;
}

Result<UnpackOptions> parse_options(const std::vector<std::string>& words) {
  if (words.size() < 5 || words.size() > 6)
    return fail(EINVAL, "panal-unpack is started by panal image import");
  UnpackOptions options;
  bool known = false;
  for (std::size_t i = 0; i < std::size(kKinds); ++i) {
    if (words[0] != kKinds[i]) continue;
    options.kind = static_cast<SourceKind>(i);
    known = true;
  }
  if (!known || (words[4] != "leave-out" && words[4] != "refuse"))
    return fail(EINVAL, "panal-unpack does not know these options");
  PANAL_ASSIGN(options.limit_bytes, number_in(words[1]));
  PANAL_ASSIGN(options.limit_entries, number_in(words[2]));
  PANAL_ASSIGN(options.input_bytes, number_in(words[3]));
  options.leave_out_special = words[4] == "leave-out";
  if (words.size() == 6) options.reference = words[5];
  return options;
}

}  // namespace panal::storage::unpack
