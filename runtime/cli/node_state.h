#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "runtime/cli/shell.h"

namespace panal::cli {

/// The process of a service (supervisor::kPanald, ..., or "supervisor"), if it lives.
[[nodiscard]] std::optional<Pidfd> service_process(const config::Config& config,
                                                   const std::string& name);

/// Why a service keeps dying, as the supervisor noted; empty: it does not.
[[nodiscard]] std::string service_trouble(const config::Config& config, const std::string& name);

/// Whether somebody accepts TCP connections where the broker should. Errors: those of connect(2).
[[nodiscard]] Result<void> broker_accepts(const config::Config& config);

/// Whether the broker could listen where it should. Errors: EADDRINUSE, EADDRNOTAVAIL and others of
/// bind(2).
[[nodiscard]] Result<void> broker_address_is_free(const config::Config& config);

/// An address of this host that clients can reach the broker at: the one it listens at, else the
/// one that packets to the outside leave from, else 127.0.0.1.
[[nodiscard]] std::string broker_address(const config::Config& config);

/// Sends `signal` and waits; SIGKILL when it has not ended by then. True when it had to be killed.
[[nodiscard]] Result<bool> end_process(const Pidfd& process, int signal,
                                       std::chrono::milliseconds grace);

}  // namespace panal::cli
