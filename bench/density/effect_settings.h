#pragma once

#include <string>
#include <vector>

#include "bench/density/living.h"

namespace panal::bench {

/// A setting of the guest part whose effect can be measured: on in one arm, off in another.
struct EffectSetting {
  std::string name;
  std::string what;  ///< for people
  /// Of a recipe: files of a user's home that undo it. Without it is the arm that has them.
  std::vector<HomeFile> undone = {};
  /// Of a profile: keys of [guest] that turn it on. With it is the arm that has them.
  std::string guest = {};

  [[nodiscard]] bool of_recipe() const { return guest.empty(); }
};

/// What can be switched on desktops of this image ("icewm", "xfce").
[[nodiscard]] std::vector<EffectSetting> effect_settings(const std::string& image);

}  // namespace panal::bench
