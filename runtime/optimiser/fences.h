#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/kernel/cgroup.h"
#include "engine/model/snapshot.h"
#include "engine/policy/headroom.h"
#include "runtime/optimiser/rescue_hands.h"

namespace panal::optimiser {

/// What a desktop is charged, in bytes.
struct FenceCharge {
  std::uint64_t bytes = 0;
  std::uint64_t cache_bytes = 0;  ///< of that, page cache; shared memory is not in it
};

/// Where a desktop's hard limit belongs while `room` is what all have left: what it has, and what
/// there is down to a quarter of the reserve. Its own page cache is in what it has, and in what is
/// left to all: it is counted once. Up to `share_bytes`, an equal share, it may have 16 MiB more
/// whatever is left; above it half of what is left at most, or it would be given the last of it
/// step by step. Never more than `own_bytes`, its limit without fences. All in bytes; whole MiB.
[[nodiscard]] std::uint64_t fence_bytes(std::uint64_t own_bytes, const FenceCharge& charge,
                                        const policy::Headroom& room, std::uint64_t share_bytes);

/// The lowest of what was wanted in the last 2 to 4 s.
///
/// What is left to all is partly page cache, and a group's statistics say what that was up to 2 s
/// ago: Linux counts them up once in that time, and sooner only where it notices that much has
/// changed, which above the group of a process it may miss (docs/optimiser.md). A hog that turned
/// all of it into its own memory in a fraction of that would be given it once more. Its fence
/// stood right before it grew, and its own growth is no reason to move it.
class FenceHistory {
 public:
  [[nodiscard]] std::uint64_t lowest(std::uint64_t wanted_bytes, MonotonicNs now_ns);

 private:
  MonotonicNs since_ns_ = 0;
  std::uint64_t now_ = UINT64_MAX, before_ = UINT64_MAX;
};

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

  using Charges = std::vector<std::optional<FenceCharge>>;
  /// What each is charged, nothing where it is gone; its page cache is what is known of it, up to a
  /// minute old.
  [[nodiscard]] static Charges charges(const std::vector<RescueDesk>& desks);
  /// `room` must have been read after the charges: else what a hog took between the two counts
  /// twice, and its fence stands beyond the limit of all. What it *gave back* between them (a
  /// victim of the kernel that ends) counts twice all the same: so the largest must have been read
  /// again afterwards, and have the lesser of both in `charges`.
  void update(const std::vector<RescueDesk>& desks, const Charges& charges,
              const policy::Headroom& room, std::uint64_t share_bytes, MonotonicNs now_ns);
  /// All of them have their own limits again.
  void lift();
  [[nodiscard]] bool fenced(DesktopId id) const;
  [[nodiscard]] std::size_t count() const { return fenced_; }
  /// Times a desktop was brought down to a fence, since this began; that one moves is no other.
  [[nodiscard]] std::uint64_t raised() const { return raised_; }

 private:
  struct Fence {
    std::shared_ptr<const kernel::Cgroup> group;
    std::uint64_t own_bytes = 0;
    std::uint64_t set_bytes = 0;
    FenceHistory history;
    [[nodiscard]] bool stands() const { return set_bytes != own_bytes; }
  };
  std::map<DesktopId, Fence> fences_;  ///< also of those that have their own limits
  std::size_t fenced_ = 0;
  std::uint64_t raised_ = 0;
};

}  // namespace panal::optimiser
