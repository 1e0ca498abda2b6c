#include "runtime/optimiser/class_limits.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/policy/units.h"

namespace panal::optimiser {
namespace {

using policy::kMib;

/// Between what is used and a hard limit: what a desktop charges while its limit is being set.
constexpr std::uint64_t kRoom = 16 * kMib;
constexpr std::uint64_t kRoomShare = 16;
/// Of reclaim in one write of memory.high: some 30 ms.
constexpr std::uint64_t kSoftStep = 16 * kMib;

std::string mib(std::uint64_t bytes) {
  return bytes == kUnlimited ? "no limit" : fmt::format("{} MiB", bytes / kMib);
}

bool holds_memory_v1(const kernel::Cgroup& group) {
  const kernel::CgroupMount* memory = group.layout().with("memory");
  return memory == nullptr || memory->version == 1;
}

/// One knob at a time: what one of them cannot must not keep the others.
class OneByOne {
 public:
  OneByOne(const kernel::Cgroup& group, LimitsSet& out) : group_(group), out_(out) {}

  template <typename Value>
  void set(std::optional<Value> Limits::* knob, const Limits& from) {
    if (!(from.*knob)) return;
    Limits one;
    one.*knob = from.*knob;
    const auto done = group_.set_limits(one);
    if (!done && out_.refused.empty()) out_.refused = done.error().message();
  }

 private:
  const kernel::Cgroup& group_;
  LimitsSet& out_;
};

Result<void> set_memory(const kernel::Cgroup& group, const Limits& limits, LimitsSet& out) {
  if (!limits.memory_bytes && !limits.memory_soft_bytes) return {};
  PANAL_ASSIGN(const std::uint64_t used, group.memory_usage());
  Limits soft;
  if (limits.memory_soft_bytes) {
    soft.memory_soft_bytes =
        next_soft_limit(*limits.memory_soft_bytes, used, holds_memory_v1(group));
    PANAL_TRY(group.set_limits(soft));
    if (*soft.memory_soft_bytes != *limits.memory_soft_bytes) {
      out.complete = false;
      out.why =
          fmt::format("it uses {}, its class has a soft limit of {}; that is {} for now", mib(used),
                      mib(*limits.memory_soft_bytes), mib(*soft.memory_soft_bytes));
    }
  }
  if (!limits.memory_bytes) return {};
  PANAL_ASSIGN(const std::uint64_t present, group.memory_limit());
  // Anew: on v2 the soft limit takes memory first, and others have charged meanwhile.
  PANAL_ASSIGN(const std::uint64_t now, group.memory_usage());
  const std::uint64_t next = next_hard_limit(*limits.memory_bytes, now);
  // On its way down it never goes up again, nor is it written for nothing.
  if (present == *limits.memory_bytes) return {};
  if (next < present) {
    const auto set = group.lower_memory_limit(present, next);
    if (!set && set.error().code != EBUSY) return tl::make_unexpected(set.error());
    if (set && *set == *limits.memory_bytes) return {};
  } else if (next == *limits.memory_bytes) {
    Limits hard;
    hard.memory_bytes = next;
    return group.set_limits(hard);
  }
  PANAL_ASSIGN(const std::uint64_t left, group.memory_limit());
  out.complete = false;
  out.why = fmt::format("it uses {}, its class may have {}; its limit is {} for now", mib(used),
                        mib(*limits.memory_bytes), mib(left));
  return {};
}

}  // namespace

std::uint64_t next_hard_limit(std::uint64_t wanted, std::uint64_t used) {
  return std::max(wanted, used + std::max(kRoom, used / kRoomShare));
}

std::uint64_t next_soft_limit(std::uint64_t wanted, std::uint64_t used, bool immediate) {
  return immediate ? wanted : std::max(wanted, policy::less(used, kSoftStep));
}

Result<LimitsSet> set_class_limits(const kernel::Cgroup& group, const Limits& limits) {
  LimitsSet out;
  if (auto set = set_memory(group, limits, out); !set) {
    if (set.error().is_gone()) return tl::make_unexpected(set.error());
    out.refused = set.error().message();
  }
  OneByOne each(group, out);
  each.set(&Limits::swapping, limits);
  each.set(&Limits::pids, limits);
  each.set(&Limits::cpu_weight, limits);
  each.set(&Limits::cpu_quota_permille, limits);
  each.set(&Limits::io_weight, limits);
  each.set(&Limits::io, limits);
  // The end of a desktop is no refusal.
  if (!out.refused.empty()) PANAL_TRY(group.populated());
  return out;
}

}  // namespace panal::optimiser
