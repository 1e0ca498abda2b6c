#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

/// A version to make roots of.
struct BenchVersion {
  std::string root;
  std::string name;  ///< "icewm 2026.11.26-1", "made: 3,000 files"
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;
  /// Regular files by their paths below root: the biggest of usr/ up to 64 MiB, to be read; and
  /// some 2,000 of all, to be looked at and opened.
  std::vector<std::string> to_read;
  std::vector<std::string> to_open;
};

/// The newest version of `image` in the cache of scripts/test-image, or, without a name, a tree of
/// 3,000 files made below `directory` that is in shape like a small image (128 MiB, merged /usr).
/// Errors: ENOENT with what to run.
[[nodiscard]] Result<BenchVersion> bench_version(const std::string& image,
                                                 const std::string& directory);

}  // namespace panal::bench
