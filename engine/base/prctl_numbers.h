#pragma once

namespace panal {

/// PR_SET_MEMORY_MERGE and PR_GET_MEMORY_MERGE (linux/prctl.h, Linux 6.4; Debian 12's headers are
/// older).
inline constexpr int kSetMemoryMerge = 67;
inline constexpr int kGetMemoryMerge = 68;

}  // namespace panal
