#pragma once

#include <string>
#include <vector>

#include "runtime/cli/supervisor/supervisor.h"
#include "runtime/config/config.h"

namespace panal::supervisor {

/// Names of pid files and logs.
inline constexpr const char* kPostgres = "postgres";
inline constexpr const char* kPanald = "panald";
inline constexpr const char* kBroker = "broker";

/// Where the supervisor keeps its files: <run>/supervisor.
[[nodiscard]] std::string directory(const config::Config& config);
/// <state>/log/NAME.log
[[nodiscard]] std::string log_file(const config::Config& config, const std::string& name);
/// <run>/supervisor/NAME.pid
[[nodiscard]] std::string pid_file(const config::Config& config, const std::string& name);

/// What one node runs, in the order of their starts: the private database (unless it is elsewhere),
/// panald, the broker. `config_file` may be empty.
[[nodiscard]] std::vector<Service> node_services(const config::Config& config,
                                                 const std::string& config_file);

/// Runs the supervisor in this process until SIGTERM or SIGINT. Errors: EBUSY.
[[nodiscard]] Result<void> supervise(const config::Config& config, const std::string& config_file);

/// Starts `panal supervise` as a daemon of its own: new session, no descriptor of the caller's, its
/// words in supervisor.log. The caller does not become its parent.
[[nodiscard]] Result<void> start_detached(const config::Config& config,
                                          const std::string& config_file);

}  // namespace panal::supervisor
