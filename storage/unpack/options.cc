#include <charconv>

#include "engine/base/log.h"
#include "storage/unpack/unpack.h"

namespace panal::storage::unpack {
namespace {

constexpr const char* kKinds[] = {"auto", "tar", "oci"};

Result<std::uint64_t> positive(const std::string& word) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (problem != std::errc() || end != word.data() + word.size() || value == 0)
    return fail(EINVAL, "\"" + printable(word, 60) + "\" is no limit");
  return value;
}

}  // namespace

std::vector<std::string> print_options(const UnpackOptions& options) {
  std::vector<std::string> words = {
      kKinds[static_cast<std::size_t>(options.kind)], std::to_string(options.limit_bytes),
      std::to_string(options.limit_entries), options.leave_out_special ? "leave-out" : "refuse"};
  if (!options.reference.empty()) words.push_back(options.reference);
  return words;
}

Result<UnpackOptions> parse_options(const std::vector<std::string>& words) {
  if (words.size() < 4 || words.size() > 5)
    return fail(EINVAL, "panal-unpack is started by panal image import");
  UnpackOptions options;
  bool known = false;
  for (std::size_t i = 0; i < std::size(kKinds); ++i) {
    if (words[0] != kKinds[i]) continue;
    options.kind = static_cast<SourceKind>(i);
    known = true;
  }
  if (!known || (words[3] != "leave-out" && words[3] != "refuse"))
    return fail(EINVAL, "panal-unpack does not know these options");
  PANAL_ASSIGN(options.limit_bytes, positive(words[1]));
  PANAL_ASSIGN(options.limit_entries, positive(words[2]));
  options.leave_out_special = words[3] == "leave-out";
  if (words.size() == 5) options.reference = words[4];
  return options;
}

}  // namespace panal::storage::unpack
