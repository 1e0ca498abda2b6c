#pragma once

#include <cstdint>

#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"
#include "runtime/optimiser/memory_taker.h"

namespace panal::optimiser {

struct Cooled {
  std::uint64_t advised_bytes = 0;  ///< of address space; merged and shared pages are passed over
  std::uint64_t cpu_ns = 0;         ///< of the calling thread
  bool complete = false;            ///< all of it was gone through
};

/// Tells the kernel that a desktop's own memory is the first to go (MADV_COLD): nothing leaves, but
/// when memory gets short too suddenly for steps to be taken, its pages go before those of who is
/// at work. What is touched afterwards is warm again. Blocks; stops as a taker does; the bytes of
/// the request do not count.
/// Errors: ENODEV, ESRCH when the desktop is gone; ENOSYS, EPERM, EINVAL where the kernel cannot.
[[nodiscard]] Result<Cooled> cool_memory(const Tree& tree, const kernel::Cgroup& group,
                                         const TakeRequest& request);

}  // namespace panal::optimiser
