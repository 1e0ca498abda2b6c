#include "engine/base/arithmetic.h"

#include <algorithm>
#include <cmath>

namespace panal {

Line fit_line(const std::vector<std::pair<double, double>>& points) {
  if (points.empty()) return {};
  const auto count = static_cast<double>(points.size());
  double mean_x = 0;
  double mean_y = 0;
  for (const auto& [x, y] : points) {
    mean_x += x / count;
    mean_y += y / count;
  }
  double products = 0;
  double squares = 0;
  for (const auto& [x, y] : points) {
    products += (x - mean_x) * (y - mean_y);
    squares += (x - mean_x) * (x - mean_x);
  }
  const double slope = squares > 0 ? products / squares : 0;
  return {slope, mean_y - slope * mean_x};
}

double percentile(std::vector<double> values, double percent) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double rank =
      std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(rank));
  const std::size_t above = std::min(below + 1, values.size() - 1);
  const double part = rank - std::floor(rank);
  return values[below] + part * (values[above] - values[below]);
}

}  // namespace panal
