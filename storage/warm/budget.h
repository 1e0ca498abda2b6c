#pragma once

#include <cstdint>

namespace panal::storage {

/// The host's memory, in bytes.
struct WarmMemory {
  std::uint64_t available = 0;  ///< MemAvailable: what is warm already counts as such
  std::uint64_t reserve = 0;    ///< of that, kept for the host
  /// Share of the last 10 s in which some task waited for memory (PSI), 0..100; 0 where the kernel
  /// has none.
  double waited_percent = 0;
};

struct WarmLimits {
  /// Ten times what an XFCE desktop maps of its image.
  std::uint64_t most_bytes = std::uint64_t{1} << 30;
  /// Of what is available beside the reserve: the rest is for desktops' own memory, for whose sake
  /// the image is shared.
  double share = 0.25;
  /// Less is not worth a process.
  std::uint64_t least_bytes = std::uint64_t{8} << 20;
  /// Whoever reads while others wait for memory takes from them.
  double waited_percent = 5;
};

/// How many bytes of image pages may be held warm now, all versions together, those that are in the
/// cache already counted; 0: leave it all alone.
[[nodiscard]] std::uint64_t warm_budget(const WarmMemory& memory, const WarmLimits& limits);

}  // namespace panal::storage
