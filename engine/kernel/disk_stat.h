#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"

/// Kernel: Documentation/admin-guide/iostats.rst.
namespace panal::kernel {

/// One block device since boot.
struct DiskCounters {
  std::string name;  ///< "sda", "sda1", "zram0"
  std::uint64_t read_bytes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t busy_ms = 0;  ///< time with at least one request under way

  [[nodiscard]] bool operator==(const DiskCounters&) const = default;
};

/// Parses /proc/diskstats, partitions too. Errors: EPROTO.
[[nodiscard]] Result<std::vector<DiskCounters>> parse_disk_stat(std::string_view text);
/// Whole disks alone, without what has no disk behind it of its own (zram, loop, ram).
/// Errors: ENOENT, EPROTO.
[[nodiscard]] Result<std::vector<DiskCounters>> read_disk_stat(const Tree& tree);

}  // namespace panal::kernel
