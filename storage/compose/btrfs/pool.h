#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"

namespace panal::storage {

/// Where a node's snapshots are.
struct BtrfsOptions {
  /// A directory on btrfs, made if its parent is there.
  std::string pool;
  /// > 0: the disk is not btrfs, so a file system in this file is mounted at `pool`. The file is
  /// made sparse and of this size when it is not there; an existing one is taken as it is.
  std::string loop_file;
  std::uint64_t loop_bytes = 0;
};

/// Makes the pool ready: makes and mounts the loop file's file system where one is wanted, makes
/// templates/, volatile/, persistent/ and aside/ in it (0700). What is ready stays as it is.
/// Errors: EOPNOTSUPP with what to do when it is not on btrfs or this kernel has none; ENOENT
/// without mkfs.btrfs; ENOSPC.
[[nodiscard]] Result<void> open_pool(const BtrfsOptions& options);

/// Whether `path`, or the nearest directory above it that there is, lies on btrfs.
[[nodiscard]] bool is_on_btrfs(const std::string& path);

}  // namespace panal::storage
