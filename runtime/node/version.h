#pragma once

namespace panal::node {

/// What panald says it is; CMake's project version.
inline constexpr const char* kVersion = PANAL_VERSION;

}  // namespace panal::node
