#pragma once

#include <cstdint>

namespace panal::desktop {

/// Where files of a desktop are that nobody misses when it stops.
enum class Scratch : std::uint8_t {
  kDisk,    ///< in its root
  kMemory,  ///< in a tmpfs of its own, charged to it
  kOff,     ///< nowhere: empty and read-only
};

/// What a desktop is like inside, besides its image. Fixed at its start. The default changes
/// nothing; a tuning profile's [guest] says it (docs/tuning.md).
struct GuestSettings {
  /// What tells of memory tells of the desktop's limit, as it was at the start: what it may have
  /// again when its user returns, however little its class leaves it for a while.
  bool mask_memory = false;
  std::uint32_t cpus = 0;  ///< files that tell of CPUs tell of so many at most; 0: of the host's
  bool lean_heap = false;  ///< programs keep little of what they free (agent::heap_variables)
  bool shared_pictures = true;         ///< its X server offers MIT-SHM
  Scratch logs = Scratch::kDisk;       ///< /var/log, only where the root is volatile
  Scratch var_tmp = Scratch::kDisk;    ///< /var/tmp, likewise; not kOff
  bool cache_in_memory = false;        ///< a tmpfs at agent::kCacheDir, and the session told of it
  std::uint32_t cache_percent = 10;    ///< of the memory limit: what that holds
  std::uint32_t scratch_percent = 25;  ///< likewise: /tmp, /dev/shm, /var/tmp, /var/log each

  [[nodiscard]] bool operator==(const GuestSettings&) const = default;
};

}  // namespace panal::desktop
