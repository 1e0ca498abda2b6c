#include "runtime/optimiser/taker_trial.h"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "engine/base/cleanup.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/smaps.h"
#include "runtime/optimiser/trial_process.h"

namespace panal::optimiser {
namespace {

/// More than a CPU's list of fresh pages (31), which advice from another CPU does not see.
constexpr std::uint64_t kHeldBytes = 1 << 20;
/// A group's charge has more in it than what the process holds.
constexpr std::uint64_t kAskedOfGroup = kHeldBytes / 2;
constexpr std::chrono::seconds kTrialPatience{2};

std::uint64_t free_swap(const Tree& tree) {
  const auto memory = kernel::read_meminfo(tree);
  return memory ? memory->swap_free : 0;
}

Result<TakerTrial> look_at_trial(const Tree& tree, const TrialProcess& process,
                                 std::uint64_t swap_free) {
  PANAL_ASSIGN(const SmapsRollup maps, kernel::read_smaps_rollup(tree, process.process().pid()));
  return judge_trial(process.memory().bytes, maps.swap, swap_free);
}

/// What an errno value means where this call gave it.
std::string refusal_of_advice(int code) {
  switch (code) {
    case ENOSYS: return "this kernel has no process_madvise (Linux 5.10), or a filter hides it";
    case EPERM: return "process_madvise is not permitted (CAP_SYS_NICE, CAP_SYS_PTRACE, seccomp)";
    case EINVAL: return "process_madvise does not know MADV_PAGEOUT here";
    default: return fmt::format("process_madvise: {}", Error{code, "trial"}.message());
  }
}

}  // namespace

TakerTrial judge_trial(std::uint64_t held_bytes, std::uint64_t out_bytes,
                       std::uint64_t swap_free_bytes) {
  const std::string seen =
      fmt::format("{} of {} KiB went to swap", out_bytes >> 10, held_bytes >> 10);
  if (out_bytes > 0) return {TrialOutcome::kTakes, seen};
  if (swap_free_bytes < held_bytes)
    return {TrialOutcome::kNoSwap, "accepted, but there is no swap to take anything to"};
  return {TrialOutcome::kTakesNothing, seen + ", although the kernel accepted it"};
}

TakerTrial KernelTrials::run(std::string_view way) {
  Result<TakerTrial> done = fail(EINVAL, "no such way");
  if (way == "madvise") done = advise();
  if (way == "reclaim") done = shrink_group(2);
  if (way == "poke") done = shrink_group(1);
  return done ? std::move(*done) : TakerTrial{TrialOutcome::kRefused, done.error().message()};
}

Result<TakerTrial> KernelTrials::advise() const {
  PANAL_ASSIGN(const TrialProcess process, TrialProcess::start(kHeldBytes, nullptr));
  const std::uint64_t swap_free = free_swap(tree_);
  const kernel::AddressRange ranges[] = {process.memory()};
  const auto advised =
      kernel::advise_process(process.process(), ranges, kernel::MemoryAdvice::kPageOut,
                             {std::chrono::steady_clock::now() + kTrialPatience});
  if (!advised) return TakerTrial{TrialOutcome::kRefused, refusal_of_advice(advised.error().code)};
  if (advised->advised_bytes == 0)
    return TakerTrial{TrialOutcome::kRefused, refusal_of_advice(advised->last_refusal)};
  return look_at_trial(tree_, process, swap_free);
}

Result<TakerTrial> KernelTrials::shrink_group(int version) const {
  const kernel::CgroupMount* memory = cgroups_.layout().with("memory");
  if (memory == nullptr || memory->version != version)
    return TakerTrial{TrialOutcome::kRefused, version == 2
                                                  ? "the memory controller is not cgroup v2's"
                                                  : "the memory controller is not cgroup v1's"};
  PANAL_ASSIGN(kernel::Cgroup group, kernel::Cgroup::create(cgroups_, group_));
  // Errors of removing it: it is empty, and the next trial takes it as it is.
  const Cleanup remove([&] { (void)group.destroy(kTrialPatience); });
  PANAL_ASSIGN(const TrialProcess process, TrialProcess::start(kHeldBytes, &group));
  const std::uint64_t swap_free = free_swap(tree_);
  const auto shrunk = group.reclaim(kAskedOfGroup);
  if (!shrunk && version == 2 && shrunk.error().code == ENOENT)
    return TakerTrial{TrialOutcome::kRefused, "there is no memory.reclaim (Linux 5.19)"};
  if (!shrunk) return tl::make_unexpected(shrunk.error());
  return look_at_trial(tree_, process, swap_free);
}

}  // namespace panal::optimiser
