#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "storage/warm/page_ranges.h"

namespace panal::storage {

/// The pages of one file of a version that a start of a desktop has used.
struct HotFile {
  std::string path;              ///< in the version's tree: "/usr/bin/xterm"
  std::uint64_t size_bytes = 0;  ///< when it was looked at
  PageRanges ranges;

  [[nodiscard]] bool operator==(const HotFile&) const = default;
};

/// What a version's desktops use of its tree: recorded once, touched whenever the pages are to be
/// there before a desktop is. Kept as `hot-pages` beside the version's tree. What it holds is only
/// advice: a record that is gone, damaged or of another version costs reads and nothing else.
struct HotPages {
  std::uint32_t page_bytes = 4096;  ///< a power of two, 4 KiB to 64 KiB
  /// How many records in a row were made with the former one's pages in the cache: such a one holds
  /// what nobody uses any more, too. 0: from a cold start.
  std::uint32_t generation = 0;
  std::int64_t recorded_unix_s = 0;
  std::vector<HotFile> files;  ///< by path

  [[nodiscard]] std::uint64_t bytes() const;
  [[nodiscard]] bool operator==(const HotPages&) const = default;
};

inline constexpr const char* kHotPagesFile = "hot-pages";
/// The longest record that is read or written: some 200,000 files.
inline constexpr std::size_t kMostHotPagesText = std::size_t{16} << 20;

/// One line a file: path, size, ranges as FIRST+COUNT. Bytes of a path that are no visible ASCII,
/// and '%', are written as %XX; bytes above 127 stay.
[[nodiscard]] std::string print_hot_pages(const HotPages& pages);
/// Errors: EPROTO "file:line: what is wrong": files that are not in order, a path that leaves the
/// tree, ranges that are empty, overlap or lie past the file's end.
[[nodiscard]] Result<HotPages> parse_hot_pages(std::string_view text, const std::string& file);

/// Of `version_dir` (the directory that holds the version's root/). Errors: ENOENT, EPROTO, EFBIG.
[[nodiscard]] Result<HotPages> read_hot_pages(const std::string& version_dir);
/// Replaces the record whole. Errors: EROFS, EACCES, ENOSPC, EFBIG.
[[nodiscard]] Result<void> write_hot_pages(const std::string& version_dir, const HotPages& pages);

/// As many files of it as fit into `most_bytes`: first those that were used whole, of equals the
/// smaller ones.
[[nodiscard]] HotPages kept_within(HotPages pages, std::uint64_t most_bytes);

}  // namespace panal::storage
