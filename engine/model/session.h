#pragma once

#include <cstdint>

namespace panal {

/// How near a desktop's user is; what may be taken from it grows from top to bottom.
enum class SessionClass : std::uint8_t {
  kActive,        ///< connected, with input or NX traffic lately
  kIdle,          ///< connected, without
  kDisconnected,  ///< no client
  kFrozen,        ///< no client for long: its processes are stopped
};

}  // namespace panal
