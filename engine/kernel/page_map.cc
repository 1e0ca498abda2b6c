#include "engine/kernel/page_map.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

namespace panal::kernel {
namespace {

constexpr std::uint64_t kPageMapPage = 4096;
constexpr std::uint64_t kPresent = std::uint64_t{1} << 63;
constexpr std::uint64_t kSwapped = std::uint64_t{1} << 62;
constexpr std::uint64_t kFileOrShared = std::uint64_t{1} << 61;
constexpr std::uint64_t kExclusive = std::uint64_t{1} << 56;

void append_page(std::vector<AddressRange>& ranges, std::uint64_t address) {
  if (!ranges.empty() && ranges.back().start + ranges.back().bytes == address) {
    ranges.back().bytes += kPageMapPage;
  } else {
    ranges.push_back({address, kPageMapPage});
  }
}

}  // namespace

void add_page_entries(std::span<const std::uint64_t> entries, std::uint64_t address,
                      PageMap& into) {
  for (const std::uint64_t entry : entries) {
    const std::uint64_t page = address;
    address += kPageMapPage;
    if ((entry & kFileOrShared) != 0) continue;
    if ((entry & kPresent) != 0) {
      append_page(into.present, page);
      into.present_bytes += kPageMapPage;
      if ((entry & kExclusive) == 0) continue;
      append_page(into.own, page);
      into.own_bytes += kPageMapPage;
    } else if ((entry & kSwapped) != 0) {
      append_page(into.swapped, page);
      into.swapped_bytes += kPageMapPage;
    }
  }
}

Result<PageMap> read_page_map(const Tree& tree, pid_t pid, std::span<const AddressRange> ranges,
                              const PageMapBudget& budget) {
  const std::string file = std::to_string(pid) + "/pagemap";
  PANAL_ASSIGN(const UniqueFd fd, tree.proc.open_file(file, O_RDONLY));
  PageMap map;
  std::array<std::uint64_t, 8192> entries;
  std::uint64_t pages_left = budget.pages;
  for (map.next_index = 0; map.next_index < ranges.size(); ++map.next_index) {
    map.next = ranges[map.next_index];
    while (map.next.bytes >= kPageMapPage) {
      if (pages_left == 0 || std::chrono::steady_clock::now() >= budget.deadline) return map;
      const std::uint64_t wanted =
          std::min({map.next.bytes / kPageMapPage, entries.size() + std::uint64_t{0}, pages_left});
      const ssize_t got = ::pread(fd.get(), entries.data(), wanted * sizeof entries[0],
                                  static_cast<off_t>(map.next.start / kPageMapPage * 8));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno("read", tree.proc.path() + "/" + file);
      const std::uint64_t pages = static_cast<std::uint64_t>(got) / sizeof entries[0];
      if (pages == 0) break;  // beyond what a process can have, or it has ended
      add_page_entries({entries.data(), pages}, map.next.start, map);
      map.next.start += pages * kPageMapPage;
      map.next.bytes -= pages * kPageMapPage;
      pages_left -= pages;
    }
  }
  map.next = {};
  map.complete = true;
  return map;
}

}  // namespace panal::kernel
