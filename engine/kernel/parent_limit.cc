#include "engine/kernel/parent_limit.h"

#include <algorithm>

#include "engine/kernel/zram.h"

namespace panal::kernel {
namespace {

constexpr std::uint64_t kMib = std::uint64_t{1} << 20;
constexpr std::uint64_t kFloorBytes = 256 * kMib;
/// Meminfo moves by less than this all the time, and each write on v1 may walk the group.
constexpr std::uint64_t kDeadBandBytes = 4 * kMib;
/// Taken by one call on v2, some 30 ms: the caller has other work.
constexpr std::uint64_t kStepBytes = 16 * kMib;

std::uint64_t less(std::uint64_t from, std::uint64_t what) { return from > what ? from - what : 0; }

}  // namespace

std::uint64_t uncharged_kernel_bytes(const ParentLimitInput& input) {
  const HostMemory& host = input.host;
  // Page cache and anonymous memory belong to somebody; reclaimable slab goes under pressure.
  // Of the swap cache, what is in tables too is anonymous memory already.
  const std::uint64_t unused =
      std::min(host.swap_cached, less(host.anon_lists, host.anon + host.shmem));
  const std::uint64_t accounted =
      host.free + host.buffers + host.cached + unused + host.anon + host.slab_reclaimable;
  const std::uint64_t kernel = less(less(host.total, accounted), input.zram_bytes);
  return less(kernel, input.charged_kernel_bytes);
}

std::uint64_t parent_limit_bytes(const ParentLimitInput& input) {
  std::uint64_t limit = less(input.host.total, input.reserve_bytes);
  limit = less(limit, input.zram_bytes);
  limit = less(limit, uncharged_kernel_bytes(input));
  return std::max(limit / kMib * kMib, kFloorBytes);
}

std::uint64_t default_reserve_bytes(std::uint64_t total_bytes) {
  return std::max(total_bytes / 10, 1024 * kMib);
}

Result<std::uint64_t> ParentLimit::wanted() const {
  if (fixed_bytes_ != 0) return fixed_bytes_;
  ParentLimitInput input;
  PANAL_ASSIGN(input.host, read_meminfo(tree_));
  PANAL_ASSIGN(const ZramStatistics zram, read_zram(tree_));
  PANAL_ASSIGN(const GroupUsage used, parent_.statistics());
  input.zram_bytes = zram.used;
  input.charged_kernel_bytes = used.memory ? used.memory->kernel_bytes : 0;
  input.reserve_bytes =
      reserve_bytes_ != 0 ? reserve_bytes_ : default_reserve_bytes(input.host.total);
  return parent_limit_bytes(input);
}

Result<std::uint64_t> ParentLimit::follow_down(std::uint64_t present, std::uint64_t limit) const {
  PANAL_ASSIGN(const std::uint64_t used, parent_.memory_usage());
  const std::uint64_t over = less(used + Cgroup::kLimitMargin, limit);
  // Page cache would else stay for ever, and the limit above it. What is not found is no error;
  // before Linux 5.19 nothing can be taken.
  if (over > 0) (void)parent_.reclaim(std::min(over, kStepBytes));
  return parent_.lower_memory_limit(present, limit);
}

Result<std::uint64_t> ParentLimit::update() {
  PANAL_ASSIGN(const std::uint64_t limit, wanted());
  if (in_force_) {
    const std::uint64_t moved = std::max(limit, *in_force_) - std::min(limit, *in_force_);
    if (moved <= kDeadBandBytes) return *in_force_;
  }
  const CgroupMount* memory = parent_.layout().with("memory");
  if (memory != nullptr && memory->version == 2) {
    PANAL_ASSIGN(const std::uint64_t present, parent_.memory_limit());
    if (limit < present) {
      PANAL_ASSIGN(in_force_, follow_down(present, limit));
      return *in_force_;
    }
  }
  Limits limits;
  limits.memory_bytes = limit;
  PANAL_TRY(parent_.set_limits(limits));
  in_force_ = limit;
  return limit;
}

}  // namespace panal::kernel
