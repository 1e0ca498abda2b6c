#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

/// What one desktop took in one arm, the mean of all of them.
struct EffectCost {
  double own_mib = 0;            ///< anonymous and shared memory, a tmpfs's too
  double charged_mib = 0;        ///< all that is charged to it, page cache with it
  double cpu_ppm = 0;            ///< of a core, while it was held
  double written_kib = 0;        ///< to a disk, while it was held
  double start_cpu_ms = 0;       ///< from its start until then
  double start_written_kib = 0;  ///< likewise

  [[nodiscard]] bool operator==(const EffectCost&) const = default;
};

/// A value of EffectCost and its name in results.
struct EffectMeasure {
  const char* name;
  double EffectCost::* value;
};
[[nodiscard]] const std::vector<EffectMeasure>& effect_measures();

/// One of the differences between a desktop without a setting and one with it, round by round:
/// above 0 the setting saves so much.
struct EffectSaving {
  double median = 0;
  double least = 0;
  double most = 0;
};

/// `without` and `with`: one a round, in the same order. Errors: EINVAL when they are not as many,
/// or none.
[[nodiscard]] Result<EffectSaving> effect_saving(const std::vector<EffectCost>& without,
                                                 const std::vector<EffectCost>& with,
                                                 double EffectCost::* value);

}  // namespace panal::bench
