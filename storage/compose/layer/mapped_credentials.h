#pragma once

#include <cstdint>

#include "engine/base/result.h"

namespace panal::storage {

/// Makes the calling thread act on files as user and group `id`, with all capabilities it had.
/// Meant for a thread that ends right after: there is no way back.
/// Errors: EPERM.
[[nodiscard]] Result<void> assume_mapped_credentials(std::uint32_t id);

}  // namespace panal::storage
