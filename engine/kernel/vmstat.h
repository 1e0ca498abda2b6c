#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/memory.h"

namespace panal::kernel {

/// Counters that this kernel lacks stay 0; kernels before 5.9 do not tell refaults of anonymous
/// memory from those of files: they count as files'.
/// Errors: EPROTO for a line that is not a name and a number.
[[nodiscard]] Result<VmCounters> parse_vmstat(std::string_view text);
[[nodiscard]] Result<VmCounters> read_vmstat(const Tree& tree);

}  // namespace panal::kernel
