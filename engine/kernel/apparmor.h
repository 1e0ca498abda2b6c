#pragma once

#include <string_view>

#include "engine/base/tree.h"

namespace panal::kernel {

enum class AppArmorState {
  kOff,        ///< this kernel has none, or it is not enabled
  kNotLoaded,  ///< enabled, without the profile that was asked for
  kLoaded,
};

/// Whether the kernel's list of profiles ("name (mode)" a line; names may hold blanks) has `name`.
[[nodiscard]] bool lists_profile(std::string_view profiles, std::string_view name);

/// From sys/module/apparmor and securityfs of `tree`; what cannot be read is not there.
[[nodiscard]] AppArmorState read_apparmor(const Tree& tree, std::string_view profile);

}  // namespace panal::kernel
