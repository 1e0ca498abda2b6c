#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "storage/lint/rules.h"

/// For this folder: where rules look.
namespace panal::storage::lint {

/// fnmatch(3) patterns whose '*' goes over slashes.
using Globs = std::span<const char* const>;

/// A rule of files at known places.
struct PlaceRule {
  LintRule rule;
  Globs globs;
  /// What it will cost each desktop, where that is not the files' size; 0: nobody knows before.
  std::uint64_t estimate_bytes = 0;
  bool by_size = true;  ///< the files' own size is what it costs
};
[[nodiscard]] std::span<const PlaceRule> image_places();
[[nodiscard]] std::span<const PlaceRule> desktop_places();

/// A cache that programs make for themselves where it is missing.
struct CacheRule {
  const char* inputs;  ///< files that it is made of, a pattern
  const char* cache;   ///< "@/icon-theme.cache": beside each such file; else a pattern
  bool by_time;        ///< one older than its directory counts as none
};
[[nodiscard]] std::span<const CacheRule> caches();

// Rules that look at more than the place.
extern const LintRule kEqualFiles, kStaleBytecode, kNoBytecode, kNoCache;
extern const LintRule kLibraryMetadata, kLibraryRewritten, kBytecodeWritten, kSameContent,
    kBigFileRewritten;

[[nodiscard]] bool matches(Globs globs, const std::string& path);

}  // namespace panal::storage::lint
