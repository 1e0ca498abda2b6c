#pragma once

#include <utility>
#include <vector>

namespace panal {

/// A straight line through points, by least squares.
struct Line {
  double slope = 0;
  double intercept = 0;
};

/// Zero slope where the points have fewer than two different x.
[[nodiscard]] Line fit_line(const std::vector<std::pair<double, double>>& points);

/// The value below which `percent` (0..100) of the values lie, by linear interpolation between the
/// two nearest ranks; 0 for no values.
[[nodiscard]] double percentile(std::vector<double> values, double percent);

[[nodiscard]] inline double median(std::vector<double> values) {
  return percentile(std::move(values), 50);
}

}  // namespace panal
