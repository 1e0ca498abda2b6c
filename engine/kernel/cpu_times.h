#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/usage.h"

namespace panal::kernel {

/// Parses /proc/stat. Guest time is in user time already. `ticks_per_second`: USER_HZ.
/// Errors: EPROTO when the line `cpu` is absent or has fewer than eight numbers.
[[nodiscard]] Result<CpuTimes> parse_cpu_times(std::string_view text, long ticks_per_second);
[[nodiscard]] Result<CpuTimes> read_cpu_times(const Tree& tree);

}  // namespace panal::kernel
