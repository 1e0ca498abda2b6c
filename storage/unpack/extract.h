#pragma once

#include <cstdint>

#include "engine/base/result.h"
#include "storage/unpack/budget.h"
#include "storage/unpack/entry_rules.h"
#include "storage/unpack/tar_stream.h"
#include "storage/unpack/target.h"

namespace panal::storage::unpack {

struct ExtractCounts {
  std::uint64_t entries = 0;
  std::uint64_t left_out = 0;  ///< special files, and file capabilities
};

/// Puts one entry of the stream, just read, where it belongs.
/// Errors: those of judge() and Target, EFBIG, EPROTO for a file with more bytes than it says.
[[nodiscard]] Result<void> extract_entry(TarStream& stream, const TarEntry& entry, Target& target,
                                         const EntryRules& rules, Budget& budget,
                                         ExtractCounts& counts);

/// The whole stream, up to its end of archive.
[[nodiscard]] Result<void> extract_all(TarStream& stream, Target& target, const EntryRules& rules,
                                       Budget& budget, ExtractCounts& counts);

/// The bytes of the current entry into `file`; holes stay holes.
[[nodiscard]] Result<void> extract_bytes(TarStream& stream, const TarEntry& entry,
                                         const UniqueFd& file);

}  // namespace panal::storage::unpack
