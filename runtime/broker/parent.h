#pragma once

#include "engine/base/result.h"
#include "runtime/config/config.h"

namespace panal::broker {

/// The broker's parent process: binds, reads (or makes) the certificate, forks the workers and
/// starts them again when they die. SIGHUP reads the certificate anew for new connections, SIGTERM
/// and SIGINT end all. The parent keeps the rights it was started with and touches no client's
/// byte; workers become config.broker_user where the parent is root. Returns when ended.
///
/// Errors: EADDRINUSE and other bind errors; ENOENT for the user; certificate errors.
[[nodiscard]] Result<void> run_parent(const config::Config& config);

}  // namespace panal::broker
