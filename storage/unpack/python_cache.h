#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "engine/base/result.h"

namespace panal::storage::unpack {

/// Bytes before the code in a compiled Python file: magic number, flags, and time and size of the
/// source, or a hash of it.
inline constexpr std::size_t kPythonHeader = 16;

/// Whether these first bytes are of a compiled file (Python 3.7 and later) that was made of a
/// source of this time and size, and would be compared with it. Source: PEP 552.
[[nodiscard]] bool is_fresh_cache(std::span<const unsigned char> header,
                                  std::int64_t source_modified_s, std::int64_t source_bytes);

/// In an image every file has the time zero: compiled Python that remembers its source's time would
/// be stale, and compiled again at each start by whoever may not write it. Those below `root` that
/// fit their source are marked as not to be compared (PEP 552, unchecked); returns how many. No
/// program of the image is run.
[[nodiscard]] Result<std::uint64_t> pin_python_caches(const std::string& root);

}  // namespace panal::storage::unpack
