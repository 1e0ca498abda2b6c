#include "bench/network/paired.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace panal::bench {
namespace {

/// Which of `count` values in their order, from 0, the true median is not below with 97.5 %
/// certainty: how many are below it is binomial. Of few values none is: then the first.
std::size_t lower_bound_at(std::size_t count) {
  constexpr double kTail = 0.025;
  const auto all = static_cast<double>(count);
  double exactly = std::pow(0.5, all);  // as many as `below` are below the true median
  double at_most = exactly;
  std::size_t below = 0;
  while (below < count / 2 && at_most <= kTail) {
    const auto so_far = static_cast<double>(below);
    exactly *= (all - so_far) / (so_far + 1);
    at_most += exactly;
    ++below;
  }
  return below > 0 ? below - 1 : 0;
}

}  // namespace

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
  const std::size_t at = lower_bound_at(ratios.size());
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
