#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

struct HogOptions {
  std::vector<std::string> kinds;  ///< empty: all of hog_kinds()
  unsigned pairs = 5;
  unsigned window_seconds = 20;  ///< of typing, once without and once with the hog
  unsigned bystanders = 3;
};

/// What a user can do to the neighbours: "forks", "memory", "dirty", "inotify", "ptys".
[[nodiscard]] const std::vector<std::string>& hog_kinds();

/// One kind's verdict of pairs of 99th percentiles in ms.
struct HogVerdict {
  double without_ms = 0, with_ms = 0;  ///< medians
  bool pass = false;
};
/// With the hog at most a tenth or 20 ms more, whichever is more, and 100 ms at most.
[[nodiscard]] HogVerdict judge_hog(const std::vector<double>& without_ms,
                                   const std::vector<double>& with_ms);

/// How many processes of these desktops died for want of memory since they started, by panald's
/// hand or the kernel's; `stats`: panald's answer. Errors: ENOENT when one of them is not in it.
[[nodiscard]] Result<std::uint64_t> lost_processes(const nlohmann::json& stats,
                                                   const std::vector<std::int64_t>& desktops);

/// Bystanders are typed into beside a hog and without one, in turns. A node of its own, inside a
/// lab. A key that was lost, or a process of a bystander's, is no pass whatever the times.
/// "kinds": one object each with its verdict; "failed": how many did not pass.
/// Errors: a bystander that was lost; what the node said.
[[nodiscard]] Result<nlohmann::json> run_hogs(const HogOptions& options);

}  // namespace panal::bench
