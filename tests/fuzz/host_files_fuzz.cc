// Small files of the host: subuid(5), and what panald keeps of a desktop in its run directory. The
// first byte says which.
#include <cstdint>
#include <cstdlib>

#include "engine/base/subid.h"
#include "runtime/desktop/id_slots.h"
#include "runtime/desktop/saved_spec.h"

namespace {

void check_subid(std::string_view text) {
  constexpr std::uint64_t kEnd = 0xffffffffU;
  if (const auto ranges = panal::desktop::parse_subid(text, "root", 0)) {
    for (const auto& range : *ranges)
      if (range.count == 0 || std::uint64_t{range.first} + range.count > kEnd) std::abort();
    // What is accepted here the tools that wrote the file see as well.
    if (!ranges->empty() && !panal::find_subid(text, "root") && !panal::find_subid(text, "0"))
      std::abort();
  }
  if (const auto slots = panal::desktop::IdSlots::make({0, 0}, text, text)) {
    const auto last = slots->range(slots->count() - 1);
    if (!last || last->first < 65536 || std::uint64_t{last->first} + last->count > kEnd)
      std::abort();
  }
  if (const auto start = panal::choose_subid_start(text, "", panal::kSubidWanted))
    if (*start < panal::kSubidLeast || std::uint64_t{*start} + panal::kSubidWanted > kEnd)
      std::abort();
}

void check_saved(std::string_view text) {
  const auto spec = panal::desktop::parse_saved(text);
  if (!spec) return;
  const auto printed = panal::desktop::print_saved(*spec);
  if (!printed) return;  // longer than a frame: escapes that were not needed are spelt out
  const auto again = panal::desktop::parse_saved(*printed);
  if (!again || again->id != spec->id || again->home != spec->home ||
      again->version_root != spec->version_root || again->ids.first != spec->ids.first)
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'u': check_subid(text); break;
    case 'd': check_saved(text); break;
    default: return -1;
  }
  return 0;
}
