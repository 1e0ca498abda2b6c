#pragma once

#include <functional>
#include <string>

#include "engine/base/result.h"
#include "runtime/config/config.h"

namespace panal::cli {

/// Makes what the node needs on this host and is not there: directories with their modes, system
/// accounts, id ranges for root, the private database's files, the pinned namespaces. Idempotent.
/// `say` is told each thing before it is done. Must be called by root from a process with one
/// thread. Errors: EPERM, those of what failed.
[[nodiscard]] Result<void> prepare_host(const config::Config& config,
                                        const std::function<void(const std::string&)>& say);

/// The same in words, for --dry-run: what is not there yet.
[[nodiscard]] std::string describe_host_plan(const config::Config& config);

}  // namespace panal::cli
