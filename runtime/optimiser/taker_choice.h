#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/log.h"
#include "runtime/optimiser/memory_taker.h"
#include "runtime/optimiser/taker_trial.h"

namespace panal::optimiser {

/// Best first: memory.reclaim acts on a whole group, page cache included; advice knows what it
/// takes, but leaves merged pages and page cache; the poke moves a limit, and takes merged pages
/// apart in the end.
inline constexpr std::array<std::string_view, 3> kTakerWays{"reclaim", "madvise", "poke"};

/// What was tried, in order, and what of it is used.
struct TakerChoice {
  struct Tried {
    std::string_view way;  ///< of kTakerWays
    TakerTrial trial;
  };
  std::vector<Tried> tried;  ///< the last is the chosen one, if any

  /// Empty: none of them works here.
  [[nodiscard]] std::string_view chosen() const {
    return tried.empty() || !tried.back().trial.good() ? std::string_view() : tried.back().way;
  }
  /// "madvise: 1024 of 1024 KiB went to swap; not reclaim: the memory controller is ...".
  [[nodiscard]] std::string text() const;
};

/// Tries them in order, from `first` on, until one is good.
[[nodiscard]] TakerChoice choose_way(TakerTrials& trials, std::size_t first = 0);

/// The way that works here, and the next one when it does not any more: a call that is refused, or
/// that brings nothing several times in a row, is tried on something of our own; only where that
/// fails too does the next way have its turn. Never back again before the next panald.
class ProbedTaker final : public MemoryTaker {
 public:
  struct Parts {
    const Tree& tree;  ///< must outlive it
    std::shared_ptr<TakerTrials> trials;
    LoggerPtr log;
    /// Between two trials of what had been found good.
    std::chrono::seconds try_again{60};
    /// Makes the one that does it; null: make_taker(). For tests.
    std::function<std::unique_ptr<MemoryTaker>(std::string_view)> make = {};
  };
  /// Tries what there is, which takes some 10 ms, and logs what was chosen and why.
  explicit ProbedTaker(Parts parts);

  /// "none" where nothing works.
  [[nodiscard]] std::string_view name() const override;
  [[nodiscard]] std::string why() const override;
  /// One caller at a time; the others are for any thread. Errors: ENOTSUP where nothing works.
  [[nodiscard]] Result<Taken> take(const kernel::Cgroup& group, const TakeRequest& request,
                                   TakeCursor& cursor) override;

 private:
  /// `choice`: what was tried before.
  void choose(std::size_t first, TakerChoice choice);
  /// True: it is another one now.
  [[nodiscard]] bool replaced();

  Parts parts_;
  std::unique_ptr<MemoryTaker> taker_;  ///< the taking thread's, after the constructor
  int barren_ = 0;                      ///< takes in a row that brought nothing
  std::chrono::steady_clock::time_point tried_at_;
  mutable std::mutex mutex_;  ///< of the next two
  std::string_view name_;
  std::string why_;
};

/// With `trials` a ProbedTaker, without them what choose_taker() makes of the files that are there.
[[nodiscard]] std::unique_ptr<MemoryTaker> probed_or_chosen_taker(
    const std::shared_ptr<TakerTrials>& trials, const Tree& tree, const kernel::CgroupRoot& cgroups,
    const std::string& cgroup_parent, const LoggerPtr& log);

}  // namespace panal::optimiser
