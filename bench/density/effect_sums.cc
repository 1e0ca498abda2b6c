#include "bench/density/effect_sums.h"

#include <algorithm>

#include "engine/base/arithmetic.h"

namespace panal::bench {

const std::vector<EffectMeasure>& effect_measures() {
  static const std::vector<EffectMeasure> all = {
      {"own_mib", &EffectCost::own_mib},
      {"charged_mib", &EffectCost::charged_mib},
      {"cpu_ppm", &EffectCost::cpu_ppm},
      {"written_kib", &EffectCost::written_kib},
      {"start_cpu_ms", &EffectCost::start_cpu_ms},
      {"start_written_kib", &EffectCost::start_written_kib},
  };
  return all;
}

Result<EffectSaving> effect_saving(const std::vector<EffectCost>& without,
                                   const std::vector<EffectCost>& with,
                                   double EffectCost::* value) {
  if (without.size() != with.size() || with.empty())
    return fail(EINVAL, "an effect is the difference of two arms of as many rounds");
  std::vector<double> saved;
  for (std::size_t i = 0; i < with.size(); ++i) saved.push_back(without[i].*value - with[i].*value);
  const auto [least, most] = std::minmax_element(saved.begin(), saved.end());
  return EffectSaving{median(saved), *least, *most};
}

}  // namespace panal::bench
