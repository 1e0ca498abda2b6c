#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

struct EffectsOptions {
  std::string image = "xfce";
  std::size_t count = 6;                   ///< desktops in each arm
  unsigned rounds = 2;                     ///< all arms once, in turn; then again
  std::vector<std::string> settings = {};  ///< names of effect_settings(); empty: all
  unsigned settle_seconds = 60;            ///< at most
  unsigned rest_seconds = 60;              ///< idle, after that
  unsigned hold_seconds = 60;
};

/// What each setting of the guest part saves a desktop: a node of its own for each arm, with living
/// sessions whose clients stay attached and idle. One arm is as the image is shipped, without a
/// profile; each of the others differs from it in one setting. The result names:
///   arms: by name, what a desktop took, one object a round (EffectCost)
///   effects: by setting `what`, and for each measure the median, least and most saved
/// Errors: EINVAL for a setting that the image has not; those of whatever did not work.
[[nodiscard]] Result<nlohmann::json> run_effects(const EffectsOptions& options);

}  // namespace panal::bench
