#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "storage/compose/backend.h"

namespace panal::storage {

/// One answer of the kernel's search in a subvolume's tree (BTRFS_IOC_TREE_SEARCH_V2).
struct SearchPage {
  RootUsage changed;  ///< of this page
  // The last item's place, from which the next search goes on.
  std::uint64_t objectid = 0;
  std::uint32_t type = 0;
  std::uint64_t offset = 0;
};

/// Sums the `items` items in `bytes` that were made after transaction `since`: file extents (what
/// they hold of files, not what they take on disk if compressed) and inodes. Other items are passed
/// over. Errors: EPROTO for what is cut short or past the end.
[[nodiscard]] Result<SearchPage> parse_search_page(std::string_view bytes, std::uint32_t items,
                                                   std::uint64_t since);

/// What was written into the snapshot at `path` since it was made. The kernel passes over whole
/// leaves that are older, so it costs what changed and not what there is. As of the file system's
/// last commit: up to 30 s ago. Errors: those of the ioctl.
[[nodiscard]] Result<RootUsage> changes_of_snapshot(const std::string& path);

}  // namespace panal::storage
