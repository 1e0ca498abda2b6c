#include "engine/policy/image_weights.h"

#include <algorithm>
#include <cmath>

namespace panal::policy {

double total_of(const ImageCounts& counts) {
  double total = 0;
  for (const auto& [image, count] : counts) total += count;
  return total;
}

void ImageWeights::saw(std::string_view image, double each) {
  if (!std::isfinite(each) || each <= 0) return;
  auto found = seen_.find(image);
  if (found == seen_.end()) {
    if (seen_.size() >= kMost)
      seen_.erase(std::min_element(seen_.begin(), seen_.end(), [](const auto& a, const auto& b) {
        return a.second.at < b.second.at;
      }));
    found = seen_.emplace(std::string(image), Seen{}).first;
  }
  found->second = {each, ++sightings_};
}

double ImageWeights::of(std::string_view image) const {
  const auto found = seen_.find(image);
  if (found == seen_.end()) return 1;
  double all = 0;
  for (const auto& [name, seen] : seen_) all += seen.each;
  return found->second.each * static_cast<double>(seen_.size()) / all;
}

double ImageWeights::sum(const ImageCounts& counts) const {
  double sum = 0;
  for (const auto& [image, count] : counts) sum += count * of(image);
  return sum;
}

double ImageWeights::mean(const ImageCounts& counts) const {
  const double total = total_of(counts);
  return total > 0 ? sum(counts) / total : 1;
}

}  // namespace panal::policy
