#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/kernel/cgroup_layout.h"
#include "engine/kernel/psi.h"
#include "engine/kernel/psi_trigger.h"
#include "engine/kernel/reclaim.h"
#include "engine/model/limits.h"
#include "engine/model/snapshot.h"

namespace panal::kernel {

/// All hierarchies, opened once. Copies share the descriptors.
class CgroupRoot {
 public:
  struct Hierarchy {
    CgroupMount mount;
    Dir dir;
  };

  /// Errors: ENODEV when no hierarchy is mounted; EPROTO.
  [[nodiscard]] static Result<CgroupRoot> open(const Tree& tree);

  [[nodiscard]] const CgroupLayout& layout() const { return shared_->layout; }
  [[nodiscard]] const std::vector<Hierarchy>& hierarchies() const { return shared_->hierarchies; }

 private:
  struct Shared {
    CgroupLayout layout;
    std::vector<Hierarchy> hierarchies;
  };
  std::shared_ptr<const Shared> shared_;
};

/// One group of processes, the same path in every hierarchy. Holds directory descriptors of the
/// hierarchies it reads or writes, so that a re-created group is never taken for this one. The
/// object is a handle: its end leaves the group as it is; destroy() removes it.
class Cgroup {
 public:
  /// Makes the group in every hierarchy, its parents too; what exists is taken as it is. On v2
  /// the parents pass their controllers down; a v1 cpuset gets its parent's CPUs and nodes.
  /// `path`: relative, like "panal/d7". Errors: EINVAL for another path; EACCES, EBUSY.
  [[nodiscard]] static Result<Cgroup> create(const CgroupRoot& root, const std::string& path);

  /// A group that somebody else (liblxc) made. It may lack some hierarchies.
  /// Errors: ENOENT when no hierarchy has it.
  [[nodiscard]] static Result<Cgroup> open(const CgroupRoot& root, const std::string& path);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const CgroupLayout& layout() const { return root_.layout(); }

  /// Sets the limits that are present and leaves the others alone; the first that fails ends it.
  /// A hard limit below what is in use makes v1 reclaim and say EBUSY where that is not enough; v2
  /// kills: see lower_memory_limit(). Weights of I/O where no scheduler knows them are
  /// let be. Errors: ENOTSUP when a limit's controller is absent; EBUSY; ENODEV for a disk that is
  /// none.
  [[nodiscard]] Result<void> set_limits(const Limits& limits) const;
  /// So many bytes of it are taken only when nothing else is left (v2 memory.low). Without it no
  /// group below is protected either; with it only those that ask for it (Swapping::kLast) where
  /// `bytes` is no more than they have. v1 has no such thing: done. Errors: as set_limits().
  [[nodiscard]] Result<void> protect(std::uint64_t bytes) const;

  /// Brings the hard limit down from `present` to `wanted`, in bytes, or as far as nobody is killed
  /// for it. v1 would refuse a limit below the charge, after reclaim: it is not tried. v2 takes
  /// memory for it, makes the caller wait for that, and kills: there the charge is read just
  /// before, and the limit stays kLimitMargin above it. Returns the limit that was set, whole
  /// pages; `present` where none was. Errors: those of memory_usage() and set_limits().
  [[nodiscard]] Result<std::uint64_t> lower_memory_limit(std::uint64_t present,
                                                         std::uint64_t wanted) const;
  /// A process charges 1 to 3 GiB a second: this is what one takes in 3 to 8 ms, more than lies
  /// between the two calls unless the caller loses its processor there.
  static constexpr std::uint64_t kLimitMargin = std::uint64_t{8} << 20;

  /// No limit of I/O on any disk. Errors: ENOTSUP without the controller.
  [[nodiscard]] Result<void> lift_io_limits() const;

  /// Moves a process into the group, in every hierarchy. Errors: ESRCH.
  [[nodiscard]] Result<void> add(pid_t pid) const;

  /// All but `io`. Errors: EPROTO; ENODEV when the group is gone.
  [[nodiscard]] Result<GroupUsage> statistics() const;
  /// The charge alone: one read. Errors: ENOTSUP without a memory controller.
  [[nodiscard]] Result<std::uint64_t> memory_usage() const;
  /// The hard limit; kUnlimited where there is none. Errors: as above.
  [[nodiscard]] Result<std::uint64_t> memory_limit() const;
  /// The most processes and threads; kUnlimited where there is no limit. Errors: ENOTSUP without a
  /// controller of pids; ENOENT for the root's group.
  [[nodiscard]] Result<std::uint64_t> pids_limit() const;
  /// The charge and what of it is swapped out, by one read or two. Errors: as above.
  [[nodiscard]] Result<std::uint64_t> memory_with_swap() const;
  /// Opened by path each time, as no handle holds v1's blkio. Errors: ENOTSUP without the
  /// controller.
  [[nodiscard]] Result<IoStatistics> io() const;
  /// Errors: ENOTSUP without a v2 side.
  [[nodiscard]] Result<Pressure> pressure(PressureResource resource) const;
  [[nodiscard]] Result<PressureSet> pressures() const;
  /// Errors: ENOTSUP without a v2 side; those of PsiTrigger.
  [[nodiscard]] Result<PsiTrigger> pressure_trigger(PressureResource resource,
                                                    const PsiThreshold& threshold) const;

  /// Takes memory from the group by what its memory controller offers; blocks. See reclaim.h. Other
  /// threads may read and set limits by this object, or a copy of it, meanwhile, and do not wait
  /// for it. EBUSY: another thread takes from it just now. Errors: ENOTSUP without a memory
  /// controller; ENOENT on v2 before Linux 5.19.
  [[nodiscard]] Result<ReclaimResult> reclaim(std::uint64_t bytes) const;

  /// Processes of the group and of those below it, of all hierarchies. Those of foreign pid
  /// namespaces (the kernel shows them as 0) are left out.
  [[nodiscard]] Result<std::vector<pid_t>> pids() const;
  /// Whether any process, zombies not counted, is in the group or below.
  [[nodiscard]] Result<bool> populated() const;

  /// Stops all processes of the group (v2 cgroup.freeze, else the v1 freezer) and waits until
  /// they stand. Errors: ETIMEDOUT (it stays asked for: thaw() takes it back); ENOTSUP.
  [[nodiscard]] Result<void> freeze(std::chrono::milliseconds timeout) const;
  [[nodiscard]] Result<void> thaw() const;
  /// Whether it was asked to stand, by freeze() or by somebody else, and not to run again.
  /// Errors: ENOTSUP; ENODEV when it is gone.
  [[nodiscard]] Result<bool> asked_to_freeze() const;

  /// Sends SIGKILL to all processes, frozen ones included, until none is left.
  /// Errors: ETIMEDOUT, naming the pids.
  [[nodiscard]] Result<void> kill_all(std::chrono::milliseconds timeout) const;

  /// Removes the group and those below it from every hierarchy, again and again while the kernel
  /// still reaps its processes. A group that is gone is no error.
  /// Errors: EBUSY with the directory when `timeout` is over.
  [[nodiscard]] Result<void> destroy(std::chrono::milliseconds timeout);

 private:
  struct Part {
    const CgroupMount* mount;  ///< of root_
    Dir dir;
  };

  Cgroup(CgroupRoot root, std::string path) : root_(std::move(root)), path_(std::move(path)) {}
  [[nodiscard]] Result<void> open_parts();
  [[nodiscard]] const Part* part_with(std::string_view controller) const;
  [[nodiscard]] const Part* v2_part() const;
  [[nodiscard]] Result<void> set_memory(const Limits& limits) const;
  [[nodiscard]] Result<void> set_cpu(const Limits& limits) const;
  [[nodiscard]] Result<void> set_io(const Limits& limits) const;
  [[nodiscard]] Failure lacks(const char* controller) const;

  /// v1's hard limit while reclaim() has it lowered: who reads it reads what belongs there, and who
  /// sets it sets what is put back. Of all copies.
  struct Pressed {
    std::mutex mutex;
    bool now = false;
    std::uint64_t own_bytes = 0;
  };

  CgroupRoot root_;
  std::string path_;
  std::vector<Part> parts_;
  std::shared_ptr<Pressed> pressed_ = std::make_shared<Pressed>();
};

}  // namespace panal::kernel
