#pragma once

#include "engine/base/result.h"
#include "engine/profile/profile.h"
#include "runtime/config/config.h"
#include "runtime/desktop/guest.h"

namespace panal::node {

/// What a profile's [guest] makes desktops like inside.
[[nodiscard]] desktop::GuestSettings guest_of(const profile::Guest& guest);

/// The same, of the profile that the configuration names. Errors: those of the profile.
[[nodiscard]] Result<desktop::GuestSettings> guest_settings(const config::Config& config);

}  // namespace panal::node
