#include "runtime/optimiser/memory_taker.h"

#include <time.h>

#include <algorithm>

#include "engine/base/pidfd.h"
#include "engine/kernel/process_memory.h"
#include "engine/kernel/smaps.h"
#include "runtime/optimiser/desktop_processes.h"

namespace panal::optimiser {
namespace {

/// Of a desktop's mappings those below have little to give and cost a system call's share each.
constexpr std::uint64_t kLeastMapping = 32 << 10;
constexpr std::uint64_t kSmapsText = 8 << 20;

/// memory.reclaim where the controller is v2's, else the limit poke: both act on the whole group,
/// page cache included, and choose pages by age.
class GroupTaker final : public MemoryTaker {
 public:
  explicit GroupTaker(std::string_view name) : name_(name) {}
  [[nodiscard]] std::string_view name() const override { return name_; }

  [[nodiscard]] Result<Taken> take(const kernel::Cgroup& group, const TakeRequest& request,
                                   TakeCursor& /*cursor*/) override {
    // A call cannot be ended early, so many small ones.
    constexpr std::uint64_t kStep = 4 << 20;
    const std::uint64_t begun = thread_cpu_ns();
    Taken taken;
    PANAL_ASSIGN(taken.before_bytes, group.memory_usage());
    while (taken.asked_of_kernel_bytes < request.bytes && !request.stopped()) {
      const std::uint64_t step = std::min(kStep, request.bytes - taken.asked_of_kernel_bytes);
      PANAL_ASSIGN(const kernel::ReclaimResult result, group.reclaim(step));
      taken.asked_of_kernel_bytes += step;
      if (!result.reached) {
        taken.exhausted = true;
        break;
      }
    }
    PANAL_ASSIGN(taken.after_bytes, group.memory_usage());
    taken.cpu_ns = thread_cpu_ns() - begun;
    return taken;
  }

 private:
  std::string_view name_;
};

/// process_madvise(MADV_PAGEOUT) on what is anonymous, unmerged and resident, process by process,
/// the one that draws last.
class AdviseTaker final : public MemoryTaker {
 public:
  explicit AdviseTaker(const Tree& tree) : tree_(tree) {}
  [[nodiscard]] std::string_view name() const override { return "madvise"; }

  [[nodiscard]] Result<Taken> take(const kernel::Cgroup& group, const TakeRequest& request,
                                   TakeCursor& cursor) override {
    const std::uint64_t begun = thread_cpu_ns();
    Taken taken;
    PANAL_ASSIGN(taken.before_bytes, group.memory_usage());
    PANAL_ASSIGN(const std::vector<pid_t> pids, group.pids());
    const std::vector<DesktopProcess> processes = display_last(tree_, pids);
    auto at = std::find_if(processes.begin(), processes.end(),
                           [&cursor](const DesktopProcess& p) { return p.pid == cursor.pid; });
    std::uint64_t address = cursor.address;
    if (at == processes.end()) {
      at = processes.begin();
      address = 0;
    }
    for (; at != processes.end(); ++at, address = 0) {
      if (taken.asked_of_kernel_bytes >= request.bytes || request.stopped()) break;
      auto next = advise(*at, request, address, taken);
      if (!next && next.error().is_gone()) continue;
      if (!next) return tl::make_unexpected(std::move(next.error()));
      if (*next != 0) {
        address = *next;
        break;
      }
    }
    taken.exhausted = at == processes.end();
    cursor = taken.exhausted ? TakeCursor{} : TakeCursor{at->pid, address};
    PANAL_ASSIGN(taken.after_bytes, group.memory_usage());
    taken.cpu_ns = thread_cpu_ns() - begun;
    return taken;
  }

 private:
  /// Returns where to go on in this process; 0: it was gone through.
  [[nodiscard]] Result<std::uint64_t> advise(const DesktopProcess& process,
                                             const TakeRequest& request, std::uint64_t from,
                                             Taken& taken) const {
    PANAL_ASSIGN(const Pidfd held, Pidfd::open(process.pid));
    PANAL_ASSIGN(const kernel::SmapsWalk walk,
                 kernel::walk_smaps(tree_, process.pid,
                                    {request.deadline, kSmapsText, kLeastMapping, from}));
    for (const kernel::MemoryMapping& mapping : walk.mappings) {
      // Merged pages are skipped by the kernel, which says it took them all the same.
      const std::uint64_t has = mapping.anon > mapping.ksm ? mapping.anon - mapping.ksm : 0;
      if (mapping.locked || has < kLeastMapping) continue;
      if (taken.asked_of_kernel_bytes >= request.bytes || request.stopped()) return mapping.start;
      const kernel::AddressRange range[] = {{mapping.start, mapping.bytes}};
      PANAL_ASSIGN(
          const kernel::AdviceProgress progress,
          kernel::advise_process(held, range, kernel::MemoryAdvice::kPageOut, {request.deadline}));
      if (progress.advised_bytes > 0) taken.asked_of_kernel_bytes += has;
      if (!progress.complete) return mapping.start;
    }
    return walk.complete ? 0 : walk.next_address;
  }

  const Tree& tree_;
};

}  // namespace

std::uint64_t thread_cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

std::unique_ptr<MemoryTaker> make_taker(std::string_view name, const Tree& tree) {
  if (name == "reclaim") return std::make_unique<GroupTaker>("reclaim");
  if (name == "poke") return std::make_unique<GroupTaker>("poke");
  if (name == "madvise") return std::make_unique<AdviseTaker>(tree);
  return nullptr;
}

std::unique_ptr<MemoryTaker> choose_taker(const Tree& tree, const kernel::CgroupRoot& cgroups) {
  const kernel::CgroupMount* memory = cgroups.layout().with("memory");
  if (memory != nullptr && memory->version == 2) return make_taker("reclaim", tree);
  return make_taker("madvise", tree);
}

}  // namespace panal::optimiser
