#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/memory.h"

namespace panal::profile {

/// Whether all that is on `swap` may come back at once. `name`: of it, for the error.
/// Errors: ENOMEM, with numbers; those of read_meminfo().
[[nodiscard]] Result<void> check_room_for_swapped(const Tree& tree, const SwapDevice& swap,
                                                  const std::string& name);

}  // namespace panal::profile
