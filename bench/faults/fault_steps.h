#pragma once

#include <functional>
#include <map>
#include <set>
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
  /// Points of each kind, in percent of what a step has of which there are as many as want all.
  unsigned percent = 100;
  std::vector<std::string> kinds = {};  ///< of fault that are tried; empty: all
  /// Every other kill ends one process only: it has helpers.
  bool alone = false;
  std::set<int> excuses = {};  ///< that a full disk may come as, besides ENOSPC and EDQUOT
  /// What is not as it must be after any run, besides what the node looks at. May be empty, as the
  /// next one may.
  std::function<std::vector<std::string>()> check = {};
  /// Takes away what a run may rightly leave, before garbage is looked for. Versions go by
  /// themselves.
  std::function<Result<void>()> tidy = {};
  std::string why_not = {};  ///< this machine lacks something: the step is left out
};

/// All of them, on this node, which must outlive them.
[[nodiscard]] std::vector<FaultStep> fault_steps(FaultNode& node);

}  // namespace panal::bench
