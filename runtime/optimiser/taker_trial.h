#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"

namespace panal::optimiser {

enum class TrialOutcome : std::uint8_t {
  kTakes,         ///< what was to go out is out
  kNoSwap,        ///< the kernel did not mind, but nothing can go out: there is no free swap
  kTakesNothing,  ///< the kernel did not mind and there is swap, but all of it is still there
  kRefused,       ///< it said no, or has no such thing
};

/// What came of one way to take memory back.
struct TakerTrial {
  TrialOutcome outcome = TrialOutcome::kRefused;
  std::string why;  ///< in words, with what was seen

  [[nodiscard]] bool good() const {
    return outcome == TrialOutcome::kTakes || outcome == TrialOutcome::kNoSwap;
  }
};

/// Tries ways to take memory back ("reclaim", "madvise", "poke") on something that nobody misses.
class TakerTrials {
 public:
  virtual ~TakerTrials() = default;
  /// Blocks for some 10 ms.
  [[nodiscard]] virtual TakerTrial run(std::string_view way) = 0;
};

/// On a process of our own (TrialProcess), in a group of its own where the way acts on groups. What
/// the process has in swap afterwards (smaps) decides, never what a call returned.
class KernelTrials final : public TakerTrials {
 public:
  /// `group`: the path of one that does not exist, beside or below the desktops'. `tree` must
  /// outlive it.
  KernelTrials(const Tree& tree, kernel::CgroupRoot cgroups, std::string group)
      : tree_(tree), cgroups_(std::move(cgroups)), group_(std::move(group)) {}
  [[nodiscard]] TakerTrial run(std::string_view way) override;

 private:
  [[nodiscard]] Result<TakerTrial> advise() const;
  [[nodiscard]] Result<TakerTrial> shrink_group(int version) const;

  const Tree& tree_;
  kernel::CgroupRoot cgroups_;
  std::string group_;
};

/// What a trial saw, as a verdict. `out_bytes`: in swap afterwards; `swap_free_bytes`: when it
/// began.
[[nodiscard]] TakerTrial judge_trial(std::uint64_t held_bytes, std::uint64_t out_bytes,
                                     std::uint64_t swap_free_bytes);

}  // namespace panal::optimiser
