#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "storage/quota/quota.h"

/// File systems in files: what Quota's kLoop and the pool are made of.
namespace panal::storage::loop_file {

/// Smallest that ext4 with a journal is sensible in.
inline constexpr std::uint64_t kLeastBytes = std::uint64_t{16} << 20U;

/// Makes `file` (0600, sparse, `limit.bytes` long) with an empty ext4 in it; it appears whole or
/// not at all. `features`: more of mke2fs's -O, e.g. "quota,project"; empty: none.
/// Errors: EINVAL below kLeastBytes, EEXIST, ENOENT without mke2fs, EIO with its words, ENOSPC.
[[nodiscard]] Result<void> make(const std::string& file, const SpaceLimit& limit,
                                const std::string& features = {});

/// The file's ext4 as a detached mount, nosuid and nodev. The loop device and a lock on the file
/// (flock) live as long as the mount: a second open(), on this machine or, on NFS, on another one,
/// is refused.
/// Errors: EBUSY it is mounted; ENODEV no loop device; EUCLEAN or EINVAL for what is no ext4.
[[nodiscard]] Result<UniqueFd> open(
    const std::string& file, const std::vector<std::pair<std::string, std::string>>& options = {});

/// That nobody has it mounted: whoever had it has written out all of it. As much as the lock tells:
/// on NFS of other machines too, unless the export or the mount keeps locks to itself.
/// Errors: EBUSY somebody has; ENOENT.
[[nodiscard]] Result<void> expect_unmounted(const std::string& file);

/// Makes the file and what is in it larger; nobody has it mounted. Errors: EINVAL for a smaller
/// size, EBUSY.
[[nodiscard]] Result<void> grow(const std::string& file, std::uint64_t bytes);

/// Of what open() gave.
[[nodiscard]] Result<SpaceUse> use(int mount_fd);

}  // namespace panal::storage::loop_file
