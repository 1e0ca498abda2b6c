// Kernel files: no text may crash a parser. The first byte says which file it is
// (tests/fuzz/seeds).
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "bench/density/rollup.h"
#include "engine/kernel/cgroup_layout.h"
#include "engine/kernel/cgroup_stat.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/mountinfo.h"
#include "engine/kernel/psi.h"
#include "engine/kernel/zram.h"
#include "runtime/cli/supervisor/pid_file.h"

using namespace panal::kernel;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'm': {
      const auto entries = parse_mountinfo(text);
      if (!entries) break;
      for (const MountEntry& entry : *entries)
        if (entry.mount_point.empty()) std::abort();
      break;
    }
    case 'c': {
      const std::size_t half = text.find('\0');
      const auto layout = parse_cgroup_layout(
          text.substr(0, half), half == text.npos ? std::string_view{} : text.substr(half + 1));
      if (layout && layout->mounts.empty()) std::abort();
      break;
    }
    case 'p': {
      const auto pressure = parse_psi(text);
      if (pressure && !(pressure->some.avg10_percent >= 0)) std::abort();
      break;
    }
    case 'i': (void)parse_meminfo(text); break;
    case 'z': (void)parse_zram_mm_stat(text); break;
    case 'k': (void)parse_flat_keyed(text); break;
    case 's': (void)panal::supervisor::parse_start_ticks(text); break;
    case 'r': {
      const auto bytes = panal::bench::parse_rollup(std::string(text), "Pss:");
      if (bytes && !(*bytes >= 0)) std::abort();
      break;
    }
    default: return -1;
  }
  return 0;
}
