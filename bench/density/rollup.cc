#include "bench/density/rollup.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace panal::bench {

Result<double> parse_rollup(const std::string& text, const std::string& key) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (text.compare(at, key.size(), key) == 0) {
      std::size_t digit = at + key.size();
      while (digit < end && text[digit] == ' ') ++digit;
      std::uint64_t kib = 0;
      const auto [rest, error] = std::from_chars(text.data() + digit, text.data() + end, kib);
      if (error != std::errc() || std::string_view(rest, text.data() + end) != " kB") break;
      return static_cast<double>(kib) * 1024;
    }
    at = end + 1;
  }
  return fail(EPROTO, "smaps_rollup has no line \"" + key + " N kB\"");
}

Result<double> pss_bytes(const Tree& tree, pid_t pid) {
  PANAL_ASSIGN(const auto text, tree.proc.read(std::to_string(pid) + "/smaps_rollup"));
  return parse_rollup(text, "Pss:");
}

}  // namespace panal::bench
