#pragma once

#include <string_view>

namespace panal::agent {

/// The shared object of guard/resume_guard.cc, for nxagent's LD_PRELOAD.
[[nodiscard]] std::string_view resume_guard();

}  // namespace panal::agent
