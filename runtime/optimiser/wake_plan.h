#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "engine/model/decision.h"
#include "runtime/optimiser/hot_memory.h"

namespace panal::optimiser {

/// What is fetched for a user who returns.
enum class Prefetch : std::uint8_t {
  kRecorded,  ///< the hot ranges; where none are known all that draws, and nothing else
  kDrawing,   ///< all that draws, then all else
  kNothing,   ///< all is left to faults
};
[[nodiscard]] std::string_view to_string(Prefetch prefetch);
[[nodiscard]] std::optional<Prefetch> parse_prefetch(std::string_view word);

/// How a desktop is treated beside what its class says: for measurements, which want to compare
/// within one run.
struct Treatment {
  bool spared = false;  ///< nothing is taken from it, and it is not frozen
  Prefetch prefetch = Prefetch::kRecorded;
};

/// One wake's fetching, in two parts: what the user waits for, and the rest.
struct WakePlan {
  std::shared_ptr<const HotMemory> hot;  ///< null: not by ranges
  ReconnectDecision ranges;
  bool fetches = true;
  /// What is fetched and then not touched cannot be paged out by process_madvise any more.
  bool fetches_rest = true;
};

/// `known` may be null. `bytes_per_second`: measured, of fetching; 0: not yet.
[[nodiscard]] WakePlan plan_wake(Prefetch prefetch, std::shared_ptr<const HotMemory> known,
                                 double bytes_per_second);

/// Blocks until done or until the budget is over. Errors: ENODEV when the desktop is gone; EPERM.
[[nodiscard]] Result<Fetched> fetch(const Tree& tree, const kernel::Cgroup& group,
                                    const WakePlan& plan, FetchPart part,
                                    const FetchBudget& budget);

}  // namespace panal::optimiser
