#include "bench/network/paired.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace panal::bench {

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Ratio ratio_of(const std::vector<double>& base, const std::vector<double>& value) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(base.size(), value.size()); ++i)
    if (base[i] > 0) ratios.push_back(value[i] / base[i]);
  Ratio out;
  if (ratios.empty()) return out;
  std::sort(ratios.begin(), ratios.end());
  out.pairs = ratios.size();
  out.median = median_of(ratios);
  // The number of values below the true median is binomial; 1.96 is the normal law's 95 %.
  const auto count = static_cast<double>(ratios.size());
  const double reach = 1.96 * std::sqrt(count) / 2;
  const auto below = static_cast<std::size_t>(std::max(0.0, std::floor(count / 2 - reach)));
  const std::size_t at = std::min(below > 0 ? below - 1 : 0, ratios.size() - 1);
  out.low = ratios[at];
  out.high = ratios[ratios.size() - 1 - at];
  return out;
}

nlohmann::json to_json(const Ratio& ratio) {
  return {{"pairs", ratio.pairs},
          {"median", ratio.median},
          {"low95", ratio.low},
          {"high95", ratio.high}};
}

}  // namespace panal::bench
