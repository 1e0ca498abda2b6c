#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

/// Kinds of fault, in this order: "kill" (kill -9), "bytes" (the disk is full from then on),
/// "inodes" (no file can be made any more), "power" (what was not synced is gone), "bits".
[[nodiscard]] const std::vector<std::string>& fault_kinds();

struct FaultOptions {
  unsigned points = 200;  ///< of each kind, spread over all steps
  std::uint64_t seed = 1;
  std::vector<std::string> kinds = {};  ///< empty: all
  std::vector<std::string> steps = {};  ///< build, pull, provision-overlay ...; empty: all
  std::string programs = {};  ///< directory of panal-unpack and others; empty: of this program
};

/// Interrupts what a node does to its disk at random system calls, and looks each time whether all
/// that was there is there, all that is damaged is named, what was interrupted can be done again,
/// and nothing is left over. In a directory of its own below TMPDIR; needs root and loop devices.
///
/// "points": faults that happened; "lost": those after which something was not as it must be;
/// "complaints": a sentence for each thing; "kinds" and "steps": how many of each. Errors: why it
/// could not be tried.
[[nodiscard]] Result<nlohmann::json> run_faults(const FaultOptions& options);

}  // namespace panal::bench
