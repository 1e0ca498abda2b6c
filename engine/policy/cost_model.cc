#include "engine/policy/cost_model.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace panal::policy {
namespace {

using Points = std::vector<std::pair<double, double>>;

/// A sample this many standard deviations off is another event, not noise (Iglewicz and Hoaglin).
constexpr double kOutlier = 3.5;
/// Where many samples are alike (a node at rest), their deviation is nothing, and yet what is off
/// by less than this part of the whole rise is noise.
constexpr double kNoise = 0.02;
/// The standard deviation of a normal distribution, by its median absolute deviation.
constexpr double kSigmaPerMad = 1.4826;
constexpr std::size_t kEnoughSamples = 5;
constexpr std::size_t kEnoughNumbers = 3;

Line median_line(const Points& points) {
  std::vector<double> slopes;
  for (std::size_t i = 0; i < points.size(); ++i)
    for (std::size_t j = i + 1; j < points.size(); ++j)
      if (points[i].first != points[j].first)
        slopes.push_back((points[j].second - points[i].second) /
                         (points[j].first - points[i].first));
  Line line;
  line.slope = median(std::move(slopes));
  std::vector<double> intercepts;
  intercepts.reserve(points.size());
  for (const auto& [x, y] : points) intercepts.push_back(y - line.slope * x);
  line.intercept = median(std::move(intercepts));
  return line;
}

double off(const Line& line, const std::pair<double, double>& point) {
  return std::abs(point.second - line.intercept - line.slope * point.first);
}

}  // namespace

MarginalCost fit_marginal_cost(const Points& samples) {
  Points points;
  for (const auto& sample : samples)
    if (std::isfinite(sample.first) && std::isfinite(sample.second)) points.push_back(sample);
  const Line rough = median_line(points);
  std::vector<double> distances;
  double largest = 0;
  double fewest = points.empty() ? 0 : points.front().first;
  double most = fewest;
  distances.reserve(points.size());
  for (const auto& point : points) {
    distances.push_back(off(rough, point));
    largest = std::max(largest, std::abs(point.second));
    fewest = std::min(fewest, point.first);
    most = std::max(most, point.first);
  }
  const double noise = kNoise * std::abs(rough.slope) * (most - fewest);
  // Where most samples lie on the line exactly, rounding is no outlier.
  const double sigma =
      std::max({kSigmaPerMad * median(std::move(distances)), noise / kOutlier, largest * 1e-6});
  Points kept;
  for (const auto& point : points)
    if (off(rough, point) <= kOutlier * sigma) kept.push_back(point);

  MarginalCost cost;
  const Line line = fit_line(kept);
  std::set<double> numbers;
  double squares = 0;
  double mean = 0;
  for (const auto& point : kept) {
    numbers.insert(point.first);
    squares += off(line, point) * off(line, point);
    mean += point.first / static_cast<double>(kept.size());
  }
  double width = 0;  // sum of squares about the mean number
  for (const auto& point : kept) width += (point.first - mean) * (point.first - mean);
  cost.each = std::max(0.0, line.slope);
  cost.fixed = line.intercept;
  cost.samples = kept.size();
  cost.left_out = samples.size() - kept.size();
  if (kept.size() > 2) cost.spread = std::sqrt(squares / static_cast<double>(kept.size() - 2));
  if (width > 0) cost.error = cost.spread / std::sqrt(width);
  cost.measured = kept.size() >= kEnoughSamples && numbers.size() >= kEnoughNumbers;
  return cost;
}

void CostSamples::add(const ImageCounts& counts, double used) {
  const auto same = [&counts](const Sample& sample) { return sample.counts == counts; };
  if (static_cast<std::size_t>(std::count_if(samples_.begin(), samples_.end(), same)) >= kMostOfOne)
    samples_.erase(std::find_if(samples_.begin(), samples_.end(), same));
  if (samples_.size() >= kMost) samples_.erase(samples_.begin());
  samples_.push_back({counts, used});
}

MarginalCost CostSamples::fit(const ImageWeights& weights) const {
  Points points;
  points.reserve(samples_.size());
  for (const Sample& sample : samples_)
    points.emplace_back(weights.sum(sample.counts), sample.used);
  return fit_marginal_cost(points);
}

}  // namespace panal::policy
