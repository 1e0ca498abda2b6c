#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace panal::storage {

struct CopyOptions {
  /// Share the blocks of regular files (FICLONE) where the file system can; false: always copy.
  bool reflink = true;
  /// Asked of each directory, by its path below the tree ("var/cache"): whether its content stays
  /// out, so that the copy has an empty directory there. Empty: nothing does.
  std::function<bool(std::string_view path)> leave_empty = {};
};

struct Copied {
  std::uint64_t bytes = 0;  ///< of regular files, as they say
  std::uint64_t files = 0;  ///< all kinds
  bool reflinked = false;   ///< at least one file's blocks are shared
};

/// Copies the tree `from` (its content, and its own owner and mode) into the directory `to`, which
/// is made and must not exist: owners, modes, times, xattrs (ACLs too) and holes stay as they are.
/// Two names of one file become two files: in a version's tree equal files may be one file although
/// nobody linked them, and who writes to one of them in the copy must not write to the other.
/// Devices, FIFOs and sockets are no part of an image: EINVAL with the
/// path. Nothing follows links, and nothing is synced. On error what was made stays; the caller
/// knows it by its name. Errors: ENOENT, EEXIST, ENOSPC, EOVERFLOW past 64 levels.
[[nodiscard]] Result<Copied> copy_tree(const std::string& from, const std::string& to,
                                       const CopyOptions& options);

/// Whether files of `directory` can share blocks: tried with two files that go again.
/// Errors: those of making files there.
[[nodiscard]] Result<bool> can_reflink(const std::string& directory);

}  // namespace panal::storage
