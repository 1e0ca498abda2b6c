#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace panal::policy {

/// How many desktops of each image there are.
using ImageCounts = std::map<std::string, double, std::less<>>;

[[nodiscard]] double total_of(const ImageCounts& counts);

/// How much a desktop of one image takes beside one of another, by what the groups of those that
/// have settled are charged with. Of one resource.
///
/// What a desktop costs the host is not what its group is charged with (pages that all share are in
/// nobody's charge, or in one's), so a charge is no price. It tells how prices differ: with it
/// desktops of different images are counted on one scale, and the price is the slope over that.
class ImageWeights {
 public:
  /// Of more images the one that was not seen for the longest time is forgotten.
  static constexpr std::size_t kMost = 16;

  /// What one is charged with in the mean, in any unit; nothing is learnt of 0.
  void saw(std::string_view image, double each);
  /// 1 is the mean of the images that were seen, and of any that was not.
  [[nodiscard]] double of(std::string_view image) const;
  /// So many desktops of weight 1 they are.
  [[nodiscard]] double sum(const ImageCounts& counts) const;
  /// In the mean of these desktops; 1 where there are none.
  [[nodiscard]] double mean(const ImageCounts& counts) const;

 private:
  struct Seen {
    double each = 0;
    std::uint64_t at = 0;  ///< how many were seen before
  };

  std::map<std::string, Seen, std::less<>> seen_;
  std::uint64_t sightings_ = 0;
};

}  // namespace panal::policy
