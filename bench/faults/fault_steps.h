#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "bench/faults/fault_node.h"
#include "engine/base/result.h"

namespace panal::bench {

/// Something a node does that is interrupted: how it comes to begin, itself, and how it is known
/// that it was done.
struct FaultStep {
  std::string name;  ///< build, update, pull, gc, provision-overlay ...
  /// The backend whose roots it makes; of other steps the first one's are looked at.
  std::string backend;
  /// In the caller's process; a number that no other round of this node had.
  std::function<Result<void>(unsigned round)> prepare;
  /// In a child. 0, or an errno value.
  std::function<int()> run;
  /// Versions that a whole or broken run of the round may leave, and their trees' sums.
  std::function<std::map<std::string, std::string>()> leaves;
  /// After a run that was not broken: an empty sentence, or what is missing.
  std::function<std::string()> done;
  /// What it said it has done outlives a power failure. What gc() has deleted may come back, and is
  /// found again.
  bool lasts = true;
};

/// All of them, on this node, which must outlive them.
[[nodiscard]] std::vector<FaultStep> fault_steps(FaultNode& node);

}  // namespace panal::bench
