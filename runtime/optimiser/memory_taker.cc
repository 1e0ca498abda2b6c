#include "runtime/optimiser/memory_taker.h"

#include <time.h>

#include <algorithm>
#include <optional>

#include "engine/base/pidfd.h"
#include "engine/kernel/process_memory.h"
#include "engine/kernel/smaps.h"
#include "runtime/optimiser/desktop_processes.h"
#include "runtime/optimiser/swap_cache.h"

namespace panal::optimiser {
namespace {

constexpr std::uint64_t kSmapsText = 8 << 20;
/// 4 MiB take the kernel some 7 ms.
constexpr std::uint64_t kSlice = 4 << 20;

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
    TakeCursor from = cursor;
    std::optional<Error> trouble;
    if (at == processes.end()) {
      at = processes.begin();
      from = TakeCursor{};
    }
    for (; at != processes.end(); ++at, from = TakeCursor{}) {
      from.pid = at->pid;
      if (taken.asked_of_kernel_bytes >= request.bytes || request.stopped()) break;
      const auto whole = advise(group, request, from, taken);
      // One that ended, or that cannot be gone through, must not keep the others from their turn.
      if (whole && !*whole) break;
      if (!whole && !whole.error().is_gone() && !trouble) trouble = whole.error();
    }
    if (trouble && taken.asked_of_kernel_bytes == 0) return tl::make_unexpected(*trouble);
    taken.exhausted = at == processes.end();
    cursor = taken.exhausted ? TakeCursor{} : from;
    // Of what went to a disk each page is in memory still. What cannot be freed shows in the
    // charge.
    if (taken.asked_of_kernel_bytes > 0)
      (void)drop_swap_cache(group, {UINT64_MAX, request.deadline, request.stop});
    PANAL_ASSIGN(taken.after_bytes, group.memory_usage());
    taken.cpu_ns = thread_cpu_ns() - begun;
    return taken;
  }

 private:
  /// Goes on at `from` and leaves there where it stopped. True: the process was gone through.
  [[nodiscard]] Result<bool> advise(const kernel::Cgroup& group, const TakeRequest& request,
                                    TakeCursor& from, Taken& taken) const {
    PANAL_ASSIGN(const Pidfd held, hold_process_of(tree_, group, from.pid));
    // Half of the time is for what is found: a process of very many mappings, each of which has
    // nothing to give, would else take all of it each time, and be the first again the next time.
    const auto now = std::chrono::steady_clock::now();
    PANAL_ASSIGN(const kernel::SmapsWalk walk,
                 kernel::walk_smaps(tree_, from.pid,
                                    {now + (request.deadline - now) / 2, kSmapsText,
                                     request.least_mapping_bytes, from.mapping}));
    for (const kernel::MemoryMapping& mapping : walk.mappings) {
      // Merged pages are skipped by the kernel, which says it took them all the same.
      const std::uint64_t has = mapping.anon > mapping.ksm ? mapping.anon - mapping.ksm : 0;
      if (mapping.locked || has < request.least_mapping_bytes) continue;
      const std::uint64_t end = mapping.start + mapping.bytes;
      std::uint64_t address = mapping.start;
      if (mapping.start == from.mapping && from.address > address && from.address < end)
        address = from.address;
      // Slices, so that the end of the budget and a user who returns are seen soon.
      while (address < end) {
        from.mapping = mapping.start;
        from.address = address;
        if (taken.asked_of_kernel_bytes >= request.bytes || request.stopped()) return false;
        const std::uint64_t size = std::min(kSlice, end - address);
        const kernel::AddressRange range[] = {{address, size}};
        PANAL_ASSIGN(const kernel::AdviceProgress progress,
                     kernel::advise_process(held, range, kernel::MemoryAdvice::kPageOut,
                                            {request.deadline}));
        if (progress.advised_bytes > 0)
          taken.asked_of_kernel_bytes += std::max<std::uint64_t>(
              1, static_cast<std::uint64_t>(static_cast<double>(has) * static_cast<double>(size) /
                                            static_cast<double>(mapping.bytes)));
        address += size;
      }
    }
    // A process with more mappings than a walk may read: no further than that.
    if (walk.complete || walk.next_address <= from.mapping) return true;
    from.mapping = walk.next_address;
    from.address = 0;
    return false;
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

std::unique_ptr<MemoryTaker> choose_taker(const Tree& tree, const kernel::CgroupRoot& cgroups,
                                          const std::string& cgroup_parent) {
  for (const auto& hierarchy : cgroups.hierarchies())
    if (hierarchy.mount.version == 2 && hierarchy.mount.has("memory") &&
        hierarchy.dir.exists(cgroup_parent + "/memory.reclaim"))
      return make_taker("reclaim", tree);
  return make_taker("madvise", tree);
}

}  // namespace panal::optimiser
