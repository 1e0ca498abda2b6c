#pragma once

#include <string_view>

namespace panal::agent {

/// The shared object of guard/resume_guard.cc, for nxagent's LD_PRELOAD.
[[nodiscard]] std::string_view resume_guard();
/// The shared object of guard/session_guard.cc, for the LD_PRELOAD of a session's programs.
[[nodiscard]] std::string_view session_guard();

}  // namespace panal::agent
