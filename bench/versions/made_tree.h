#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"

namespace panal::bench {

/// A tree of files below usr/, twelve in each directory. Nothing in them repeats: neither a disk
/// nor a file system makes them smaller.
struct TreePlan {
  unsigned files = 0;
  std::uint64_t bytes_each = 0;  ///< 0: of ten sizes, 500 bytes to 256 KiB, 51 KiB on average
};

/// Writes file `file` anew, under its name: what had it before (a checkout's file is the
/// repository's) stays as it is elsewhere. `edition` changes the content.
[[nodiscard]] Result<void> write_made_file(const std::string& root, const TreePlan& plan,
                                           unsigned file, std::uint64_t edition);

/// Writes all of them; each `every`th one (0: none) is of this edition, the others are of 0.
[[nodiscard]] Result<void> write_made_tree(const std::string& root, const TreePlan& plan,
                                           unsigned every, std::uint64_t edition);

}  // namespace panal::bench
