#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "storage/warm/hot_pages.h"

namespace panal::storage {

/// Which pages of a version's tree are in the page cache: the record of a start, if the tree was
/// cooled before it. A file with several names is there under one. `root` is walked without
/// following links; every file is opened. Takes some 0.1 s for 20,000 files; `cancelled` may be
/// null. Generation and time are left to the caller.
/// Errors: ENOENT, EACCES; ECANCELED.
[[nodiscard]] Result<HotPages> record_hot_pages(const std::string& root,
                                                const std::atomic<bool>* cancelled);

struct CoolReport {
  std::uint64_t files = 0;       ///< that had pages in the cache
  std::uint64_t kept_files = 0;  ///< of these, whose pages did not all go: somebody maps them
};

/// Lets the page cache of a tree go, so that a start shows which pages it needs. What is mapped by
/// somebody, or not written to disk yet, stays: what running desktops have in use does.
/// Errors: as above.
[[nodiscard]] Result<CoolReport> cool_tree(const std::string& root,
                                           const std::atomic<bool>* cancelled);

}  // namespace panal::storage
