#pragma once

#include <cstdint>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/kernel/cgroup.h"
#include "engine/kernel/process_memory.h"

namespace panal::optimiser {

/// A process of our own that holds some memory nobody else has, and waits: what a kernel says it
/// can do to others is tried on it first. Killed and reaped at its end; a caller that dies takes it
/// along.
class TrialProcess {
 public:
  /// `group`: where it goes before it touches anything; null: it stays in the caller's.
  /// Blocks until it holds `bytes`, which are not the same from page to page.
  /// Errors: those of fork(2), mmap(2) and of moving it; EIO when it died meanwhile.
  [[nodiscard]] static Result<TrialProcess> start(std::uint64_t bytes, const kernel::Cgroup* group);

  TrialProcess(TrialProcess&&) noexcept = default;
  TrialProcess& operator=(TrialProcess&&) = delete;
  ~TrialProcess();

  [[nodiscard]] const Pidfd& process() const { return process_; }
  /// What it holds, in its address space.
  [[nodiscard]] const kernel::AddressRange& memory() const { return memory_; }

 private:
  TrialProcess() = default;

  Pidfd process_;
  UniqueFd orders_;  ///< it waits for their end
  kernel::AddressRange memory_;
};

}  // namespace panal::optimiser
