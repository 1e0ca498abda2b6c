#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/base/result.h"
#include "storage/import/export.h"

namespace panal::storage {

struct TarWriting {
  std::string root;  ///< the tree
  int fd = -1;       ///< where to, not owned
  TarCompression compression = TarCompression::kNone;
  /// Files with several names stay one. Off where equal files share an inode that have nothing to
  /// do with each other: in a checkout.
  bool hard_links = false;
  bool keep_times = false;  ///< else all are zero
  bool leave_out_sockets = false;
  /// Every name is marked as bytes, which costs a KiB each. libarchive's reader composes the
  /// characters of all other names (NFC): for a stream that it is to read exactly.
  bool raw_names = false;
  /// Told at each entry and each MiB of a file how many bytes of it were written since; an error
  /// ends the writing and is its result.
  std::function<Result<void>(const std::string& path, std::uint64_t bytes)> check;
};

/// A tree as a tarball: everything below `root` in byte order of the names, directories before
/// what is in them, no link followed, no other file system entered. Owners by number. Devices
/// and FIFOs are written as they are, for the reader to judge; sockets tar cannot say. Returns how
/// many sockets were left out. Errors: EPIPE, ENOSPC, EOVERFLOW past 64 levels, EPERM for a socket,
/// EAGAIN where the tree changed meanwhile.
[[nodiscard]] Result<std::uint64_t> write_tar(const TarWriting& writing);

/// Sum of the sizes of all files below `root`, for a progress. Errors: those of walk_tree().
[[nodiscard]] Result<std::uint64_t> bytes_below(const std::string& root);

}  // namespace panal::storage
