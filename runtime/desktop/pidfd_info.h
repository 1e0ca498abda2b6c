#pragma once

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::desktop {

/// Makes a Pidfd of a descriptor that came from elsewhere: the pid is read from the descriptor's
/// fdinfo (proc(5)), as it is in our pid namespace. Errors: ESRCH once the process is reaped,
/// EINVAL for another kind of descriptor.
[[nodiscard]] Result<Pidfd> pidfd_with_pid(UniqueFd fd);

}  // namespace panal::desktop
