#pragma once

#include <cmath>

namespace panal::policy {

/// The mean of a rate over the last minutes, of the times that were looked at alone.
///
/// A look counts a third (1/e) after kMemorySeconds of other looks. So what is full from one moment
/// on has to be full for a quarter of an hour and more before the mean says so (from a half, nine
/// tenths are reached after 16 minutes), while a mean at the end falls below it within a minute.
class LongMean {
 public:
  static constexpr double kMemorySeconds = 600;
  /// Before that it is not known: a mean of one busy minute would say what a burst says.
  static constexpr double kEnoughSeconds = 600;

  /// It was `value` for so many seconds, > 0.
  void add(double seconds, double value) {
    if (!(seconds > 0) || !std::isfinite(value)) return;
    const double left = std::exp(-seconds / kMemorySeconds);
    value_ = value_ * left + value * (1 - left);
    weight_ = weight_ * left + (1 - left);
    seconds_ += seconds;
  }
  /// 0 while nothing was added.
  [[nodiscard]] double value() const { return weight_ > 0 ? value_ / weight_ : 0; }
  [[nodiscard]] bool known() const { return seconds_ >= kEnoughSeconds; }

 private:
  double value_ = 0, weight_ = 0;
  double seconds_ = 0;  ///< looked at
};

}  // namespace panal::policy
