#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/base/arithmetic.h"
#include "engine/policy/image_weights.h"

namespace panal::policy {

/// What one more of a thing costs, from measurements at different numbers of it.
struct MarginalCost {
  double each = 0;           ///< slope, in the unit of the samples; never negative
  double fixed = 0;          ///< what is used with none of it
  std::size_t samples = 0;   ///< that the line was fitted to
  std::size_t left_out = 0;  ///< outliers: a build that ran beside, a cache that was dropped
  double spread = 0;         ///< standard deviation of a sample about the line
  double error = 0;          ///< standard error of `each`: less than twice that is noise

  /// Five samples at three different numbers make a line worth believing.
  bool measured = false;
};

/// Least squares after outliers are gone. They are found as those far from the median line
/// (the median of all pairs' slopes), which up to a quarter of wild samples cannot turn.
[[nodiscard]] MarginalCost fit_marginal_cost(const std::vector<std::pair<double, double>>& samples);

/// The samples of one resource: the latest kMost, thinned so that a desktop farm that stands at one
/// number for days does not forget what it learned on the way there. Desktops of several images are
/// counted together, by weight.
class CostSamples {
 public:
  static constexpr std::size_t kMost = 96;
  /// Of one number of desktops (of each image) no more than these are kept.
  static constexpr std::size_t kMostOfOne = 4;

  void add(const ImageCounts& counts, double used);
  void add(double count, double used) { add(ImageCounts{{"", count}}, used); }
  /// What a desktop of weight 1 costs.
  [[nodiscard]] MarginalCost fit(const ImageWeights& weights = {}) const;
  [[nodiscard]] std::size_t size() const { return samples_.size(); }

 private:
  struct Sample {
    ImageCounts counts;
    double used = 0;
  };

  std::vector<Sample> samples_;  ///< oldest first
};

}  // namespace panal::policy
