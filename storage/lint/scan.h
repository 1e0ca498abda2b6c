#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "engine/base/result.h"
#include "storage/lint/tree.h"

namespace panal::storage {

/// 0..1 and what is being done.
using LintProgress = std::function<void(double fraction, const std::string& what)>;

/// How much of a tree is looked at: a desktop may have written anything into its layer.
struct ScanBudget {
  std::uint64_t most_files = 500'000;
  std::uint64_t most_read_bytes = std::uint64_t{8} << 30;  ///< to compare contents
  std::chrono::seconds most_time{300};
  const std::atomic<bool>* cancelled = nullptr;
};

/// Looks at a version's tree. Contents are read only where files of one size, mode and owner may be
/// equal, 4 KiB at least; below /etc, /var, /home and /root equal ones are nobody's loss. What a
/// budget left out is in LintTree::cut_short. Nothing of the tree is run, no link followed.
/// Errors: ENOENT, EACCES, EIO; ECANCELED.
[[nodiscard]] Result<LintTree> scan_image(const std::string& root, const ScanBudget& budget,
                                          const LintProgress& progress);

/// Looks at a desktop's writable layer (overlayfs's upper directory), which may be in use: what
/// comes and goes meanwhile is left out. Files are compared with the version's; those of which the
/// layer has the metadata only cost nothing and are left out. A directory that was renamed counts
/// as new. Errors: as above.
[[nodiscard]] Result<LintTree> scan_desktop(const std::string& upper, const std::string& root,
                                            const ScanBudget& budget, const LintProgress& progress);

}  // namespace panal::storage
