#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::bench {

/// Reading `files` below `root` to their ends. Errors: those of open(2) and read(2).
struct Reading {
  double milliseconds = 0;
  std::uint64_t bytes = 0;
};
[[nodiscard]] Result<Reading> read_files(const std::string& root,
                                         const std::vector<std::string>& files);

/// Bytes of the files that are in the page cache (mincore(2)).
[[nodiscard]] Result<std::uint64_t> cached_bytes(const std::string& root,
                                                 const std::vector<std::string>& files);
/// Puts them out of the page cache, as far as nobody else has them in use.
[[nodiscard]] Result<void> drop_files(const std::string& root,
                                      const std::vector<std::string>& files);

/// The host's page cache: Cached of proc/meminfo.
[[nodiscard]] Result<std::uint64_t> page_cache_bytes(const Tree& tree);
/// Of the text of proc/meminfo. Errors: EPROTO.
[[nodiscard]] Result<std::uint64_t> parse_cached(const std::string& text);

/// Microseconds for one file, each: stat(2), and open(2) with close(2).
struct Looking {
  std::vector<double> stat_us, open_us;
};
[[nodiscard]] Result<Looking> look_at(const std::string& root,
                                      const std::vector<std::string>& files);

}  // namespace panal::bench
