#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "storage/image/image_store.h"
#include "storage/lint/rules.h"
#include "storage/lint/scan.h"

namespace panal::storage {

/// Copies the tree `from` into the empty directory `to`: owners, modes, times, links between its
/// files, file capabilities. On one file system that can, contents are shared until written to.
/// Errors: EPERM for a device, FIFO or socket; ENOSPC, EIO; ECANCELED.
[[nodiscard]] Result<void> copy_image_tree(const std::string& from, const std::string& to,
                                           const std::atomic<bool>* cancelled,
                                           const LintProgress& progress);

/// Carries the steps out on a tree that is nobody else's. A step whose file is not as it was looked
/// at (gone, or other bytes) is left out. Returns how many were carried out.
/// Errors: EIO, EACCES, EROFS.
[[nodiscard]] Result<std::size_t> repair_tree(const std::string& root,
                                              const std::vector<LintStep>& steps);

/// Makes the next version of an image out of one: a copy with the steps carried out. The version
/// itself is not touched. It has no recipe's digest, since no recipe makes it.
/// Errors: ENOENT without the version; those of the above and of ImageStore::commit().
[[nodiscard]] Result<VersionManifest> repair_version(ImageStore& store,
                                                     const VersionManifest& version,
                                                     const std::vector<LintStep>& steps,
                                                     const std::atomic<bool>* cancelled,
                                                     const LintProgress& progress);

}  // namespace panal::storage
