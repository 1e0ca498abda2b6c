#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"

namespace panal::bench {

/// A tree as a tarball, as QVD ships its images.
struct TarballBytes {
  std::uint64_t gz = 0;   ///< gzip -6
  std::uint64_t zst = 0;  ///< zstd -3
};

/// Makes both and keeps neither. Equal files, which are one inode in a version's tree, are packed
/// one by one, as they were before they got there. Errors: what tar, gzip or zstd says.
[[nodiscard]] Result<TarballBytes> tarball_bytes(const std::string& root);

}  // namespace panal::bench
