#pragma once

#include <atomic>
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

struct FetchBudget {
  std::chrono::steady_clock::time_point deadline;
  const std::atomic<bool>* give_way = nullptr;  ///< somebody else waits: stop

  [[nodiscard]] bool over() const {
    return (give_way != nullptr && give_way->load(std::memory_order_relaxed)) ||
           std::chrono::steady_clock::now() >= deadline;
  }
};

/// Brings what was paged out of a desktop back, before somebody waits for it: first of the process
/// that draws, and then, once it may run again, of the others.
enum class FetchPart : std::uint8_t { kDisplay, kRest };

/// Blocks until done or until the budget is over. Errors: ENODEV when the desktop is gone; EPERM.
[[nodiscard]] Result<Fetched> fetch_back(const Tree& tree, const kernel::Cgroup& group,
                                         FetchPart part, const FetchBudget& budget);

}  // namespace panal::optimiser
