#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "engine/base/result.h"

namespace panal::bench {

/// Bytes in the page cache of each file, by device and inode: names of one file count once, files
/// of two mounted images that have one number do not.
using CachedFiles = std::map<std::pair<dev_t, ino_t>, std::uint64_t>;

/// Reads every regular file below `root` to its end and adds what is in the page cache of it then
/// (mincore(2)). Errors: those of open(2), read(2) and mmap(2), with the path.
[[nodiscard]] Result<void> read_tree(const std::string& root, CachedFiles& cached);

/// Bytes of all of them.
[[nodiscard]] std::uint64_t sum_of(const CachedFiles& cached);

/// Takes the files below `root` out of the page cache, written out first, as far as nobody has
/// them in use.
[[nodiscard]] Result<void> drop_tree(const std::string& root);

/// Page cache of two trees that are read one after the other, from a cold cache; bytes.
struct PairCache {
  std::uint64_t one = 0;   ///< after the first
  std::uint64_t both = 0;  ///< after the second

  [[nodiscard]] double ratio() const {
    return static_cast<double>(both) / static_cast<double>(one);
  }
};

/// Errors: those above; ENODATA when nothing of the first is in the page cache.
[[nodiscard]] Result<PairCache> cache_of_pair(const std::string& first, const std::string& second);

}  // namespace panal::bench
