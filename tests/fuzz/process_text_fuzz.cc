// Kernel files of processes: no text may crash a parser. The first byte says which file it is
// (tests/fuzz/seeds).
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/kernel/ksm.h"
#include "engine/kernel/oom_score.h"
#include "engine/kernel/page_map.h"
#include "engine/kernel/process_io.h"
#include "engine/kernel/process_start.h"
#include "engine/kernel/process_status.h"
#include "engine/kernel/small_text.h"
#include "engine/kernel/smaps.h"
#include "runtime/cli/supervisor/pid_file.h"
#include "tests/fuzz/texts.h"

namespace {

using namespace panal::kernel;
using panal::fuzz::halves;
using panal::fuzz::require;

void smaps_in_pieces(std::string_view text) {
  // However it is cut, the outcome is the same.
  const auto [size_text, rest] = halves(text);
  const std::size_t size = size_text.size() % 61 + 1;
  SmapsParser whole;
  SmapsParser pieces;
  bool whole_fine = whole.feed(rest).has_value();
  bool pieces_fine = true;
  for (std::size_t at = 0; at < rest.size() && pieces_fine; at += size)
    pieces_fine = pieces.feed(rest.substr(at, size)).has_value();
  require(whole_fine == pieces_fine);
  if (!whole_fine) return;
  require(whole.finish().has_value() == pieces.finish().has_value());
  require(whole.take() == pieces.take());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'K': {
      const auto [stat, merging] = halves(text);
      (void)parse_ksm_stat(stat, merging);
      break;
    }
    case 'd': {
      (void)is_kernel_thread(text, "ksmd");
      (void)parse_schedstat(text);
      break;
    }
    case 'r': (void)parse_smaps_rollup(text); break;
    case 'S': smaps_in_pieces(text); break;
    case 'O': {
      const auto score = parse_oom_score_adj(text);
      if (score) require(*score >= -1000 && *score <= 1000);
      break;
    }
    case 'P': {
      std::vector<std::uint64_t> entries(text.size() / sizeof(std::uint64_t));
      if (!entries.empty())
        std::memcpy(entries.data(), text.data(), entries.size() * sizeof(std::uint64_t));
      PageMap map;
      add_page_entries(entries, 0x10000, map);
      std::uint64_t bytes = 0;
      for (const AddressRange& range : map.present) bytes += range.bytes;
      require(bytes == map.present_bytes);
      break;
    }
    case 'T': {
      const auto status = parse_process_status(text);
      if (status) require(status->parent >= 0 && status->inner_pid >= 0);
      break;
    }
    case 'G': {
      // What is of a group below is of the group.
      const auto [group, groups] = halves(text);
      const auto slash = group.find('/');
      if (slash != group.npos && is_of_group(groups, group))
        require(slash == 0 || is_of_group(groups, group.substr(0, slash)));
      break;
    }
    case 'i': (void)parse_process_io(text); break;
    case 'f': {
      const auto pid = parse_pidfd_entry(text);
      if (pid && *pid) require(**pid > 0);
      break;
    }
    case 's': {
      (void)panal::supervisor::parse_start_ticks(text);
      (void)parse_process_start(text);
      break;
    }
    default: return -1;
  }
  return 0;
}
