#pragma once

#include <string>

#include "engine/base/result.h"
#include "storage/quota/quota.h"

namespace panal::storage {

/// One file system in a file for the writable layers and logs of all desktops: whatever they do,
/// they cannot fill the disk of the database and the images.
struct PoolSpec {
  std::string file;         ///< the file; its directory exists
  std::string mount_point;  ///< an existing, empty directory
  SpaceLimit limit;
};

enum class PoolState { kAbsent, kUnmounted, kMounted };
/// Errors: those of reading the mount table.
[[nodiscard]] Result<PoolState> pool_state(const PoolSpec& spec);

/// Makes the file unless it is there, makes it larger where the limit has grown, and mounts it.
/// With project quotas where mke2fs and the kernel have them, so that each desktop can have a limit
/// of its own in it. Mounted already is not an error. Call it in the mount namespace that Panal's
/// is a slave of. Errors: those of loop_file; ENOTEMPTY when the mount point holds desktops.
[[nodiscard]] Result<void> ensure_pool(const PoolSpec& spec);
/// Unmounts it; the file stays. Not mounted is not an error. Errors: EBUSY.
[[nodiscard]] Result<void> close_pool(const PoolSpec& spec);

}  // namespace panal::storage
