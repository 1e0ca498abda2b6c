#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

/// The mount API of Linux 5.2 and later (open_tree, fsopen, mount_setattr, move_mount): a mount is
/// held by a descriptor and seen by nobody until it is attached, so that a half-made one vanishes
/// by itself. Attributes are the MOUNT_ATTR_* of linux/mount.h.
namespace panal::mount {

/// A detached copy of what is mounted at `path` (not of the mounts below it).
/// Errors: ENOENT, EPERM, ENOSYS before Linux 5.2.
[[nodiscard]] Result<UniqueFd> clone_tree(const std::string& path);

/// Adds attributes; with `user_namespace` >= 0 the mount becomes an idmapped one: an id on disk is
/// seen as what the namespace maps it to. Errors: EINVAL where the file system cannot be idmapped,
/// EPERM.
[[nodiscard]] Result<void> set_attributes(int mount_fd, std::uint64_t attributes,
                                          int user_namespace = -1);

/// A new, detached mount of a file system. An option with an empty value is a flag. The context of
/// an error carries the kernel's own words where it gave any.
[[nodiscard]] Result<UniqueFd> create(
    const std::string& type, const std::vector<std::pair<std::string, std::string>>& options,
    std::uint64_t attributes);

/// Makes a detached mount appear at `target`, an existing directory.
[[nodiscard]] Result<void> attach(int mount_fd, const std::string& target);

/// Unmounts what is on top of `target`; lazily, so that a busy mount goes when its last user does.
/// Nothing mounted there (or no such directory) is not an error.
[[nodiscard]] Result<void> detach(const std::string& target);

/// Whether `path` is the root of a mount. Errors: those of statx(2).
[[nodiscard]] Result<bool> is_mount_point(const std::string& path);

/// idmapped view of directory `source` attached at `target`: clone_tree + set_attributes + attach.
[[nodiscard]] Result<void> bind_idmapped(const std::string& source, const std::string& target,
                                         std::uint64_t attributes, int user_namespace);

}  // namespace panal::mount
