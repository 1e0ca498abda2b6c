#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace panal::bench {

/// The middle value; of an even number the mean of the two in the middle; of nothing 0.
[[nodiscard]] double median_of(std::vector<double> values);

/// How many times more one thing costs than another, of pairs that were measured one after the
/// other: the median of the pairs' ratios, so that what makes the machine slow for a while makes
/// both slow, and the bounds that the true median is within with 95 % certainty (by ranks; of fewer
/// than six pairs the least and the most, which are less certain).
struct Ratio {
  std::size_t pairs = 0;
  double median = 0, low = 0, high = 0;
};
/// Pairs by position; what has no counterpart, or a counterpart that is not above 0, is left out.
[[nodiscard]] Ratio ratio_of(const std::vector<double>& base, const std::vector<double>& value);
[[nodiscard]] nlohmann::json to_json(const Ratio& ratio);

}  // namespace panal::bench
