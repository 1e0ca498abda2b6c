// Kernel files: no text may crash a parser. The first byte chooses which.
#include <cstdlib>
#include <string_view>

#include "engine/kernel/apparmor.h"
#include "engine/kernel/cgroup_layout.h"
#include "engine/kernel/cgroup_stat.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/mountinfo.h"
#include "engine/kernel/psi.h"
#include "engine/kernel/zram.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace panal::kernel;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 7) {
    case 0: {
      const auto entries = parse_mountinfo(text);
      if (!entries) break;
      for (const MountEntry& entry : *entries)
        if (entry.mount_point.empty()) std::abort();
      break;
    }
    case 1: {
      const std::size_t half = text.find('\0');
      const auto layout = parse_cgroup_layout(
          text.substr(0, half), half == text.npos ? std::string_view{} : text.substr(half + 1));
      if (layout && layout->mounts.empty()) std::abort();
      break;
    }
    case 2: {
      const auto pressure = parse_psi(text);
      if (pressure && !(pressure->some.avg10_percent >= 0)) std::abort();
      break;
    }
    case 3: (void)parse_meminfo(text); break;
    case 4: (void)parse_zram_mm_stat(text); break;
    case 5: (void)lists_profile(text, "panal-desktop"); break;
    default: (void)parse_flat_keyed(text); break;
  }
  return 0;
}
