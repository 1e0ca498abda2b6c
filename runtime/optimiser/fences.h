#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "engine/base/result.h"
#include "engine/kernel/cgroup.h"
#include "engine/policy/headroom.h"
#include "runtime/optimiser/rescue_hands.h"

namespace panal::optimiser {

/// Where a desktop's hard limit belongs while `room` is what all have left: what it has, and what
/// there is down to a quarter of the reserve. Up to `share_bytes`, an equal share, it may have 16
/// MiB more whatever is left; above it half of what is left at most, or it would be given the last
/// of it step by step. Never more than `own_bytes`, its limit without fences. All in bytes; whole
/// MiB.
[[nodiscard]] std::uint64_t fence_bytes(std::uint64_t own_bytes, std::uint64_t charge_bytes,
                                        const policy::Headroom& room, std::uint64_t share_bytes);

/// Where memory gets short, every desktop's own limit is brought down to a fence. A hog then runs
/// into its own limit, and the kernel looks for a victim among its processes, where at the limit
/// of all it would take the largest of anybody's. No look could be quick enough for that: a
/// process touches 1 to 3 GiB a second. For one thread.
class Fences {
 public:
  Fences() = default;
  ~Fences() { lift(); }
  Fences(const Fences&) = delete;
  Fences& operator=(const Fences&) = delete;

  using Charges = std::vector<Result<std::uint64_t>>;
  /// What each is charged, in bytes.
  [[nodiscard]] static Charges charges(const std::vector<RescueDesk>& desks);
  /// `room` must have been read after `charges`: else what a hog took between the two counts
  /// twice, and its fence stands beyond the limit of all.
  void update(const std::vector<RescueDesk>& desks, const Charges& charges,
              const policy::Headroom& room, std::uint64_t share_bytes);
  /// All of them have their own limits again.
  void lift();
  [[nodiscard]] bool fenced(DesktopId id) const { return fences_.contains(id); }
  [[nodiscard]] std::size_t count() const { return fences_.size(); }

 private:
  struct Fence {
    std::shared_ptr<const kernel::Cgroup> group;
    std::uint64_t own_bytes = 0;
    std::uint64_t set_bytes = 0;
  };
  std::map<DesktopId, Fence> fences_;
};

}  // namespace panal::optimiser
