#include "runtime/optimiser/memory_cooler.h"

#include <cerrno>
#include <optional>
#include <vector>

#include "engine/kernel/process_memory.h"
#include "engine/kernel/smaps.h"
#include "runtime/optimiser/desktop_processes.h"

namespace panal::optimiser {
namespace {

/// As the taker's: smaller mappings have little to give.
constexpr std::uint64_t kLeastCooled = 32 << 10;
constexpr std::uint64_t kCoolerText = 8 << 20;

/// False: its time was over.
Result<bool> cool_process(const Tree& tree, const kernel::Cgroup& group, pid_t pid,
                          const TakeRequest& request, Cooled& cooled) {
  PANAL_ASSIGN(const Pidfd held, hold_process_of(tree, group, pid));
  PANAL_ASSIGN(const kernel::SmapsWalk walk,
               kernel::walk_smaps(tree, pid, {request.deadline, kCoolerText, kLeastCooled}));
  for (const kernel::MemoryMapping& mapping : walk.mappings) {
    if (mapping.locked || mapping.anon < kLeastCooled) continue;
    if (request.stopped()) return false;
    const kernel::AddressRange range[] = {{mapping.start, mapping.bytes}};
    PANAL_ASSIGN(
        const kernel::AdviceProgress progress,
        kernel::advise_process(held, range, kernel::MemoryAdvice::kCold, {request.deadline}));
    cooled.advised_bytes += progress.advised_bytes;
    // A mapping that is gone since is refused too (ENOMEM); only this says that the kernel cannot.
    if (progress.advised_bytes == 0 && progress.last_refusal == EINVAL)
      return fail(EINVAL, "process_madvise(MADV_COLD)");
    if (!progress.complete) return false;
  }
  return walk.complete;
}

}  // namespace

Result<Cooled> cool_memory(const Tree& tree, const kernel::Cgroup& group,
                           const TakeRequest& request) {
  const std::uint64_t begun = thread_cpu_ns();
  Cooled cooled;
  cooled.complete = true;
  PANAL_ASSIGN(const std::vector<pid_t> pids, group.pids());
  std::optional<Error> trouble;
  for (const pid_t pid : pids) {
    if (request.stopped()) {
      cooled.complete = false;
      break;
    }
    const auto whole = cool_process(tree, group, pid, request, cooled);
    if (whole && !*whole) cooled.complete = false;
    if (!whole && !whole.error().is_gone() && !trouble) trouble = whole.error();
  }
  if (trouble && cooled.advised_bytes == 0) return tl::make_unexpected(*trouble);
  cooled.cpu_ns = thread_cpu_ns() - begun;
  return cooled;
}

}  // namespace panal::optimiser
