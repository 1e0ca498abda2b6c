#pragma once

#include <functional>

#include "bench/cli/call.h"

namespace CLI {
class App;
}  // namespace CLI

namespace panal::bench {

/// A subcommand, and what it does once its options have been read: an exit code.
struct Subcommand {
  CLI::App* parser = nullptr;  ///< the application's
  std::function<int(const Call&)> run = {};
};

// Each adds one to the application: density_command.cc ...
[[nodiscard]] Subcommand add_density(CLI::App& app);
// ... comparison_commands.cc ...
[[nodiscard]] Subcommand add_ksm(CLI::App& app);
[[nodiscard]] Subcommand add_reconnect(CLI::App& app);
[[nodiscard]] Subcommand add_effects(CLI::App& app);
[[nodiscard]] Subcommand add_hogs(CLI::App& app);
[[nodiscard]] Subcommand add_takers(CLI::App& app);
// ... figure_commands.cc ...
[[nodiscard]] Subcommand add_figure(CLI::App& app);
[[nodiscard]] Subcommand add_report(CLI::App& app);
// ... storage_commands.cc ...
[[nodiscard]] Subcommand add_backends(CLI::App& app);
[[nodiscard]] Subcommand add_faults(CLI::App& app);
[[nodiscard]] Subcommand add_versions(CLI::App& app);
// ... network_commands.cc.
[[nodiscard]] Subcommand add_redteam(CLI::App& app);
[[nodiscard]] Subcommand add_network(CLI::App& app);
[[nodiscard]] Subcommand add_confinement(CLI::App& app);

}  // namespace panal::bench
