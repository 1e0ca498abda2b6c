#pragma once

#include <functional>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::netconfine {

/// Runs `work` on a thread of its own that has entered `network_namespace` and ends afterwards:
/// no thread ever has to find its way back, and the caller's namespace is never changed. Sockets
/// opened and sysctls reached by `work` are those of that namespace.
/// Errors: those of setns(2) (EPERM, EINVAL), EAGAIN when no thread can be made, those of `work`.
[[nodiscard]] Result<void> run_inside(const UniqueFd& network_namespace,
                                      const std::function<Result<void>()>& work);

}  // namespace panal::netconfine
