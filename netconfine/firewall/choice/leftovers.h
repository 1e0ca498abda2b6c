#pragma once

#include "engine/base/result.h"

namespace panal::netconfine {

/// Deletes the nftables backend's tables ("panal" and "panal_cut", of all families) from the
/// calling thread's network namespace. That they are not there, or nftables is not, is no error.
[[nodiscard]] Result<void> clear_nftables();

}  // namespace panal::netconfine
