#pragma once

#include <string>
#include <string_view>

#include "runtime/agent/protocol.h"
#include "runtime/desktop/desktop.h"

namespace panal::node {

/// The frame that tells an agent whom it works for.
[[nodiscard]] agent::Frame welcome_frame(const desktop::DesktopSpec& spec);

/// A host name (RFC 1123 label) as near to the desktop's name as can be; `fallback` when nothing of
/// it is left.
[[nodiscard]] std::string hostname_of(std::string_view name, const std::string& fallback);

}  // namespace panal::node
