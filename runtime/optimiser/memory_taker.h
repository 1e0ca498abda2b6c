#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"

namespace panal::optimiser {

/// Where a walk over a desktop's processes stopped, so that the next step does not begin anew.
struct TakeCursor {
  pid_t pid = 0;              ///< 0: at the beginning
  std::uint64_t mapping = 0;  ///< address at which the mapping begins
  std::uint64_t address = 0;  ///< in it
};

struct TakeRequest {
  std::uint64_t bytes = 0;
  std::chrono::steady_clock::time_point deadline;
  /// Somebody comes back: stop as soon as the kernel lets go.
  const std::atomic<bool>* stop = nullptr;
  /// Smaller mappings have little to give and cost a system call's share each; not of a whole
  /// group.
  std::uint64_t least_mapping_bytes = 32 << 10;

  [[nodiscard]] bool stopped() const {
    return (stop != nullptr && stop->load(std::memory_order_relaxed)) ||
           std::chrono::steady_clock::now() >= deadline;
  }
};

/// What a step brought: by the group's charge, which is the only witness. What the desktop took
/// itself meanwhile makes it less.
struct Taken {
  std::uint64_t before_bytes = 0;
  std::uint64_t after_bytes = 0;
  std::uint64_t asked_of_kernel_bytes = 0;
  std::uint64_t cpu_ns = 0;  ///< of the calling thread
  bool exhausted = false;    ///< all of it was gone through

  [[nodiscard]] std::uint64_t yield_bytes() const {
    return before_bytes > after_bytes ? before_bytes - after_bytes : 0;
  }
};

/// One way to take memory back from a desktop; blocks.
class MemoryTaker {
 public:
  virtual ~MemoryTaker() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Why this one, in words; empty: nobody chose.
  [[nodiscard]] virtual std::string why() const { return {}; }
  /// Errors: ENODEV, ESRCH when the desktop is gone; EPERM.
  [[nodiscard]] virtual Result<Taken> take(const kernel::Cgroup& group, const TakeRequest& request,
                                           TakeCursor& cursor) = 0;
};

/// By what files there are, nothing is tried (ProbedTaker does): memory.reclaim (v2, Linux 5.19),
/// else process_madvise (5.10). `tree` must outlive it.
[[nodiscard]] std::unique_ptr<MemoryTaker> choose_taker(const Tree& tree,
                                                        const kernel::CgroupRoot& cgroups,
                                                        const std::string& cgroup_parent);
/// By name ("reclaim", "madvise", "poke"); for measurements. Null for another name.
[[nodiscard]] std::unique_ptr<MemoryTaker> make_taker(std::string_view name, const Tree& tree);

/// CPU time of the calling thread.
[[nodiscard]] std::uint64_t thread_cpu_ns();

}  // namespace panal::optimiser
