#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/snapshot.h"
#include "engine/policy/image_weights.h"
#include "runtime/optimiser/counted.h"

namespace panal::optimiser {

/// Which desktops run, of which image, and how those of an image compare with others. For one
/// thread; reads nothing.
class Census {
 public:
  /// Of one more image at a time desktops are counted as "", the mean of all.
  static constexpr std::size_t kMostImages = policy::ImageWeights::kMost;
  /// By then a session's programs are up, and what the start itself took is given back.
  static constexpr MonotonicNs kSettlesNs = 60LL * 1'000'000'000;

  void came(DesktopId id, std::string_view image, MonotonicNs now_ns);
  void gone(DesktopId id);
  /// What was last seen of each; of those that have settled weights are learnt. Nothing is learnt
  /// of an image of which none has.
  void saw(const std::vector<GroupSnapshot>& desktops);

  [[nodiscard]] const policy::ImageCounts& counts() const { return counts_; }
  [[nodiscard]] const policy::ImageWeights& weights(Weigh by) const {
    return weights_[static_cast<std::size_t>(by)];
  }

 private:
  struct Desktop {
    std::string image;  ///< as counted
    MonotonicNs came_ns = 0;
    // Of its first look since it settled; 0: there was none.
    MonotonicNs from_ns = 0;
    std::uint64_t from_cpu_ns = 0;
  };

  std::map<DesktopId, Desktop> desktops_;
  policy::ImageCounts counts_;  ///< none is 0
  std::array<policy::ImageWeights, 3> weights_;
};

}  // namespace panal::optimiser
