#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

/// When a process began, in clock ticks since the boot: with the number it tells a process from
/// every other of the same boot. From /proc/PID/stat, whose second field, the name, may hold
/// anything that a process likes. Errors: EPROTO.
[[nodiscard]] Result<std::uint64_t> parse_process_start(std::string_view stat);

/// Errors: ENOENT or ESRCH when it is gone; EPROTO.
[[nodiscard]] Result<std::uint64_t> read_process_start(const Tree& tree, pid_t pid);

}  // namespace panal::kernel
