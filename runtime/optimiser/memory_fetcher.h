#pragma once

#include <chrono>
#include <cstdint>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"

namespace panal::optimiser {

struct Fetched {
  std::uint64_t bytes = 0;  ///< of address space that was swapped out and asked back
  std::uint64_t cpu_ns = 0;
  bool complete = false;  ///< all of it, within the time
};

/// Brings what was paged out of a desktop back, before somebody waits for it: first of the process
/// that draws, and then, once it may run again, of the others.
enum class FetchPart : std::uint8_t { kDisplay, kRest };

/// Blocks until done or until `deadline`. Errors: ENODEV when the desktop is gone; EPERM.
[[nodiscard]] Result<Fetched> fetch_back(const Tree& tree, const kernel::Cgroup& group,
                                         FetchPart part,
                                         std::chrono::steady_clock::time_point deadline);

}  // namespace panal::optimiser
