#include "engine/kernel/apparmor.h"

#include "engine/kernel/text.h"

namespace panal::kernel {

bool lists_profile(std::string_view profiles, std::string_view name) {
  for (const std::string_view line : lines_of(profiles)) {
    const std::size_t mode = line.rfind(" (");
    if (mode != std::string_view::npos && line.ends_with(')') && line.substr(0, mode) == name)
      return true;
  }
  return false;
}

AppArmorState read_apparmor(const Tree& tree, std::string_view profile) {
  const auto enabled = tree.sys.read("module/apparmor/parameters/enabled");
  if (!enabled || !enabled->starts_with('Y')) return AppArmorState::kOff;
  const auto profiles = tree.sys.read("kernel/security/apparmor/profiles");
  return profiles && lists_profile(*profiles, profile) ? AppArmorState::kLoaded
                                                       : AppArmorState::kNotLoaded;
}

}  // namespace panal::kernel
