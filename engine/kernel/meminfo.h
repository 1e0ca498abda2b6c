#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/memory.h"

namespace panal::kernel {

/// Lines that are unknown are skipped. Errors: EPROTO when MemTotal, MemFree or MemAvailable is
/// absent or a known one is no number of kB.
[[nodiscard]] Result<HostMemory> parse_meminfo(std::string_view text);
[[nodiscard]] Result<HostMemory> read_meminfo(const Tree& tree);

}  // namespace panal::kernel
