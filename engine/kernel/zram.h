#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/memory.h"

namespace panal::kernel {

/// Errors: EPROTO with fewer than five numbers. Later columns are skipped.
[[nodiscard]] Result<ZramStatistics> parse_zram_mm_stat(std::string_view text);

/// The sum over all zram devices; all zero where there is none.
[[nodiscard]] Result<ZramStatistics> read_zram(const Tree& tree);

}  // namespace panal::kernel
