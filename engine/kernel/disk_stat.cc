#include "engine/kernel/disk_stat.h"

#include <algorithm>

#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

/// The kernel's sector, whatever the device's is.
constexpr std::uint64_t kSectorBytes = 512;
constexpr std::size_t kName = 2, kSectorsRead = 5, kSectorsWritten = 9, kBusyMs = 12;

}  // namespace

Result<std::vector<DiskCounters>> parse_disk_stat(std::string_view text) {
  std::vector<DiskCounters> disks;
  for (const std::string_view line : lines_of(text)) {
    const auto words = words_of(line);
    if (words.size() <= kBusyMs) return fail(EPROTO, "diskstats: a line is too short");
    const auto read = parse_number(words[kSectorsRead]);
    const auto written = parse_number(words[kSectorsWritten]);
    const auto busy = parse_number(words[kBusyMs]);
    if (!read || !written || !busy || *read > UINT64_MAX / kSectorBytes ||
        *written > UINT64_MAX / kSectorBytes)
      return fail(EPROTO, "diskstats: bad number of " + std::string(words[kName]));
    disks.push_back(
        {std::string(words[kName]), *read * kSectorBytes, *written * kSectorBytes, *busy});
  }
  return disks;
}

Result<std::vector<DiskCounters>> read_disk_stat(const Tree& tree) {
  PANAL_ASSIGN(const std::string text, tree.proc.read("diskstats"));
  PANAL_ASSIGN(auto disks, parse_disk_stat(text));
  std::erase_if(disks, [&tree](const DiskCounters& disk) {
    for (const char* kind : {"zram", "loop", "ram"})
      if (disk.name.starts_with(kind)) return true;
    return !tree.sys.exists("block/" + disk.name);  // a partition
  });
  return disks;
}

}  // namespace panal::kernel
